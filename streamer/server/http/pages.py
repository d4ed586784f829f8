"""The dashboard's files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from websockets.http11 import Response

from streamer.server.http.request import Request
from streamer.server.http.responses import HTML, TEXT, respond
from streamer.server.http.routes import Route

TYPES = {
    ".html": HTML,
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".map": "application/json",
    ".txt": TEXT,
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
}
HASHED = "/assets/"  # the bundler names what is in there after its content
FOR_EVER, ALWAYS_ASK = "public, max-age=31536000, immutable", "no-cache"
HOST = re.compile(r"[A-Za-z0-9.\-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")

NOT_BUILT = """\
<!doctype html><html lang="en"><meta charset="utf-8"><title>voxwatch</title>
<h1>The dashboard has not been built</h1>
<p>The server is running. To build its page, run in the repository:</p>
<pre>cd web
npm ci
npm run build</pre>
<p>and start the server again.</p></html>
"""


@dataclass(frozen=True, slots=True)
class Page:
    """A file as it is sent."""

    body: bytes
    content_type: str
    cache: str

    async def answer(self, request: Request) -> Response:
        """The page, which may connect to the name that it was asked for by."""
        allowed = policy(request.asker.host)
        return respond(200, self.body, self.content_type, cache=self.cache, policy=allowed)


class Pages:
    """The dashboard, read once: what is not in the table cannot be asked for by any path."""

    def __init__(self, folder: Path | None) -> None:
        self._pages = {"/": Page(NOT_BUILT.encode(), HTML, ALWAYS_ASK)}
        for path in sorted(folder.rglob("*")) if folder else ():
            if folder and path.is_file() and not path.is_symlink() and path.suffix in TYPES:
                address = "/" + path.relative_to(folder).as_posix()
                cache = FOR_EVER if address.startswith(HASHED) else ALWAYS_ASK
                self._pages[address] = Page(path.read_bytes(), TYPES[path.suffix], cache)
        for address in [one for one in self._pages if one.endswith(".html")]:
            self._pages[address.removesuffix(".html")] = self._pages[address]
        if "/index.html" in self._pages:
            self._pages["/"] = self._pages["/index.html"]

    def routes(self) -> Iterator[Route]:
        """One for each page, open to everybody."""
        for address, page in self._pages.items():
            yield Route("GET", address, page.answer, roles=None, quiet=True)


def dashboard_folder() -> Path | None:
    """Where the built page is: in an installed package, or in a checkout. None: not built."""
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "dashboard", package.parent / "web" / "dist"):
        if (folder / "index.html").is_file():
            return folder
    return None


def policy(host: str) -> str:
    """What the page may load and talk to: its own server and nobody else.

    Not every browser counts WebSockets of the same host as ``'self'``, so they are named.
    """
    sockets = f" ws://{host} wss://{host}" if HOST.fullmatch(host) else ""
    return (
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self';"
        " img-src 'self'; media-src blob:; font-src 'self'; manifest-src 'self';"
        f" connect-src 'self'{sockets};"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
