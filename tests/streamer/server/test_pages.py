"""The dashboard's files: what is served, how it is labelled, and that nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.server.pages import FOR_EVER, Pages, policy

HOST = "127.0.0.1:8765"


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
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
    return Pages(folder)


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
def test_files_have_their_types(pages: Pages, path: str, content_type: str) -> None:
    response = pages.get(path, HOST)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == content_type
    assert response.headers["Content-Length"] == str(len(response.body))
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_page_has_an_address_without_its_ending(pages: Pages) -> None:
    assert pages.get("/candidate", HOST).body == b"<html>for a candidate</html>"
    assert pages.get("/candidate", HOST).headers["Cache-Control"] == "no-cache"
    assert pages.get("/icon", HOST).status_code == 404


def test_only_hashed_files_are_kept_for_ever(pages: Pages) -> None:
    assert pages.get("/assets/index-1a2b.js", HOST).headers["Cache-Control"] == FOR_EVER
    assert pages.get("/", HOST).headers["Cache-Control"] == "no-cache"


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
        "index.html",
    ],
)
def test_nothing_else_is_served(pages: Pages, path: str) -> None:
    response = pages.get(path, HOST)
    assert response.status_code == 404
    assert b"secret" not in response.body


def test_a_page_that_was_not_built_says_how(tmp_path: Path) -> None:
    response = Pages(None).get("/", HOST)
    assert response.status_code == 200
    assert b"npm run build" in response.body


def test_the_page_may_talk_to_its_own_server_only() -> None:
    assert f"connect-src 'self' ws://{HOST} wss://{HOST};" in policy(HOST)
    assert "connect-src 'self' ws://[::1]:80 wss://[::1]:80;" in policy("[::1]:80")
    for host in ("a b", "x;script-src *", "evil.example, *", ""):
        assert "connect-src 'self';" in policy(host)
