"""Plain HTTP on the server's port: the dashboard's files and the probes."""

from __future__ import annotations

import email.utils
import http
import re
from dataclasses import dataclass
from pathlib import Path

from websockets.datastructures import Headers
from websockets.http11 import Response

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".map": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
}
TEXT = TYPES[".txt"]
HASHED = "/assets/"  # the bundler names what is in there after its content
FOR_EVER, ALWAYS_ASK = "public, max-age=31536000, immutable", "no-cache"
HOST = re.compile(r"[A-Za-z0-9.\-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")

PROTECTION = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that do not know `frame-ancestors`
}
STRICT = "max-age=31536000"

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


class Pages:
    """The dashboard, read once: what is not in the table cannot be asked for by any path."""

    def __init__(self, folder: Path | None) -> None:
        self._pages = {"/": Page(NOT_BUILT.encode(), TYPES[".html"], ALWAYS_ASK)}
        for path in sorted(folder.rglob("*")) if folder else ():
            if folder and path.is_file() and not path.is_symlink() and path.suffix in TYPES:
                address = "/" + path.relative_to(folder).as_posix()
                cache = FOR_EVER if address.startswith(HASHED) else ALWAYS_ASK
                self._pages[address] = Page(path.read_bytes(), TYPES[path.suffix], cache)
        for address in [one for one in self._pages if one.endswith(".html")]:
            self._pages[address.removesuffix(".html")] = self._pages[address]
        if "/index.html" in self._pages:
            self._pages["/"] = self._pages["/index.html"]

    def get(self, path: str, host: str) -> Response:
        """The page at ``path``; ``host`` is the header, for what the page may connect to."""
        page = self._pages.get(path)
        if page is None:
            return respond(404, b"not found\n")
        return respond(200, page.body, page.content_type, cache=page.cache, policy=policy(host))


def dashboard_folder() -> Path | None:
    """Where the built page is: in an installed package, or in a checkout. None: not built."""
    package = Path(__file__).resolve().parents[1]
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
        f" img-src 'self'; font-src 'self'; manifest-src 'self'; connect-src 'self'{sockets};"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def respond(
    status: int,
    body: bytes,
    content_type: str = TEXT,
    *,
    cache: str = "no-store",
    policy: str = "default-src 'none'; frame-ancestors 'none'",
) -> Response:
    """A whole response, after which the connection is closed."""
    headers = Headers(
        {
            "Date": email.utils.formatdate(usegmt=True),
            "Connection": "close",
            "Content-Length": str(len(body)),
            "Content-Type": content_type,
            "Cache-Control": cache,
            "Content-Security-Policy": policy,
        }
    )
    response = Response(status, http.HTTPStatus(status).phrase, headers, body)
    protect(response, secure=False)
    return response


def protect(response: Response, *, secure: bool) -> None:
    """Add the headers that every response has; ``secure``: it goes over TLS."""
    found = PROTECTION | ({"Strict-Transport-Security": STRICT} if secure else {})
    for name, value in found.items():
        if name not in response.headers:
            response.headers[name] = value
