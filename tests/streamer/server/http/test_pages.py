"""The dashboard's files: what is served, how it is labelled, and that nothing else is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from unittest.mock import Mock

import pytest
from websockets.http11 import Response

from streamer.server.http.pages import FOR_EVER, Pages, policy
from streamer.server.http.routes import Routes
from streamer.wire.errors import WireError

HOST = "127.0.0.1:8765"


def get(pages: Routes, path: str) -> Response:
    route, _ = pages.find("GET", path)
    request = Mock()
    request.asker.host = HOST
    return asyncio.run(route.answer(request))


@pytest.fixture
def pages(tmp_path: Path) -> Routes:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (tmp_path / "key").write_text("secret")
    (folder / "index.html").write_text("<html>the page</html>")
    (folder / "candidate.html").write_text("<html>for a candidate</html>")
    (folder / "assets" / "index-1a2b.js").write_text("1")
    (folder / "assets" / "index-1a2b.css").write_text("a{}")
    (folder / "icon.svg").write_text("<svg/>")
    (folder / "engine.wasm").write_bytes(b"\0asm")
    (folder / ".env").write_text("secret")
    (folder / "connection.txt").symlink_to(tmp_path / "key")
    return Routes(Pages(folder).routes())


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/assets/index-1a2b.js", "text/javascript; charset=utf-8"),
        ("/assets/index-1a2b.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/engine.wasm", "application/wasm"),
    ],
)
def test_files_have_their_types(pages: Routes, path: str, content_type: str) -> None:
    response = get(pages, path)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == content_type
    assert response.headers["Content-Length"] == str(len(response.body))
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_page_has_an_address_without_its_ending(pages: Routes) -> None:
    assert get(pages, "/candidate").body == b"<html>for a candidate</html>"
    assert get(pages, "/candidate").headers["Cache-Control"] == "no-cache"
    with pytest.raises(WireError, match="nothing is at this address"):
        pages.find("GET", "/icon")


def test_only_hashed_files_are_kept_for_ever(pages: Routes) -> None:
    assert get(pages, "/assets/index-1a2b.js").headers["Cache-Control"] == FOR_EVER
    assert get(pages, "/").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/../key",
        "//key",
        "/assets/../../key",
        "/.env",
        "/connection.txt",
        "/assets",
        "/\0",
        "/%2e%2e/key",
        "/assets%2F..%2F..%2Fkey",
        "/.env%00.html",
        "index.html",
    ],
)
def test_nothing_else_is_served(pages: Routes, path: str) -> None:
    with pytest.raises(WireError, match="nothing is at this address"):
        pages.find("GET", path)


def test_a_page_that_was_not_built_says_how(tmp_path: Path) -> None:
    response = get(Routes(Pages(None).routes()), "/")
    assert response.status_code == 200
    assert b"npm run build" in response.body


def test_the_page_may_talk_to_its_own_server_only() -> None:
    assert f"connect-src 'self' ws://{HOST} wss://{HOST};" in policy(HOST)
    assert "connect-src 'self' ws://[::1]:80 wss://[::1]:80;" in policy("[::1]:80")
    for host in ("a b", "x;script-src *", "evil.example, *", ""):
        assert "connect-src 'self';" in policy(host)
