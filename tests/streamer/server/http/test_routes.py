"""The table: which route answers, and what is told where none does."""

from __future__ import annotations

import pytest
from websockets.http11 import Response

from streamer.server.http.request import Request
from streamer.server.http.responses import respond
from streamer.server.http.routes import Route, Routes, WrongMethodError
from streamer.wire.errors import WireError


async def answer(request: Request) -> Response:
    return respond(200, b"")


def routes(*places: tuple[str, str]) -> Routes:
    return Routes(Route(method, path, answer, None) for method, path in places)


TABLE = routes(
    ("GET", "/a"),
    ("POST", "/a"),
    ("DELETE", "/a/{number}/"),
    ("GET", "/r/{stream}/report.{format}"),
    ("GET", "/r/all/report.html"),
)


@pytest.mark.parametrize(
    ("method", "path", "found", "fields"),
    [
        ("GET", "/a", "/a", {}),
        ("HEAD", "/a", "/a", {}),
        ("GET", "/%61", "/a", {}),
        ("DELETE", "/a/17/", "/a/{number}/", {"number": "17"}),
        ("GET", "/r/x/report.pdf", "/r/{stream}/report.{format}", {"stream": "x", "format": "pdf"}),
        ("GET", "/r/J%C3%BCrgen%2F.%20b/report.pdf", "/r/{stream}/report.{format}",
         {"stream": "Jürgen/. b", "format": "pdf"}),
        ("GET", "/r/all/report.html", "/r/all/report.html", {}),
    ],
)  # fmt: skip
def test_a_route_is_found(method: str, path: str, found: str, fields: dict[str, str]) -> None:
    route, given = TABLE.find(method, path)
    assert (route.path, given) == (found, fields)


@pytest.mark.parametrize("path", ["/", "/b", "/a/", "/a/1", "/a//", "/a/1/2/", "/r/x/report.", "a"])
@pytest.mark.parametrize("method", ["GET", "POST", "BREW"])
def test_what_is_not_there_is_not_found(method: str, path: str) -> None:
    with pytest.raises(WireError) as caught:
        TABLE.find(method, path)
    assert caught.value.code == "not-found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/a", "GET, HEAD, POST"),
        ("HEAD", "/a/1/", "DELETE"),
        ("get", "/a", "GET, HEAD, POST"),
        ("POST", "/r/x/report.pdf", "GET, HEAD"),
    ],
)
def test_another_method_is_told_which_there_are(method: str, path: str, allowed: str) -> None:
    with pytest.raises(WrongMethodError) as caught:
        TABLE.find(method, path)
    assert (caught.value.code, caught.value.allowed) == ("wrong-method", allowed)


def test_an_address_that_is_no_utf_8_is_refused() -> None:
    for path in ("/%ff", "/a/%ff/"):
        with pytest.raises(WireError) as caught:
            TABLE.find("GET", path)
        assert caught.value.code == "bad-parameter"


def test_no_route_hides_another() -> None:
    for path in ("/a", "/a/{b}"):
        with pytest.raises(ValueError, match="two routes"):
            routes(("GET", path), ("GET", path))
