"""Plain HTTP as a client sees it: methods, roles, bodies, large answers, and what is logged."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import pytest
from server_requests import ask, bearer, get, token
from websockets.http11 import Response

from streamer.config import Config
from streamer.server import server as server_module
from streamer.server.http.request import Request
from streamer.server.http.responses import respond, respond_json
from streamer.server.http.routes import Route, Routes
from streamer.server.server import Server

LARGE = bytes(range(256)) * 40_000


async def echo(request: Request) -> Response:
    body = await request.body()
    told = {"name": request.fields["name"], "size": len(body), "who": request.caller.grant.holder}
    return respond_json(200, told)


async def large(request: Request) -> Response:
    return respond(200, LARGE)


async def fail(request: Request) -> Response:
    raise RuntimeError(request.fields["name"])


@pytest.fixture
def more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Routes of this test beside those of the server."""
    ours: Iterable[Route] = (
        Route("PUT", "/t/{name}", echo, frozenset({"monitor", "admin"}), body_bytes=100),
        Route("GET", "/large", large, None),
        Route("GET", "/fail/{name}", fail, None),
    )
    made = server_module.all_routes

    def with_ours(*arguments: Any) -> Routes:
        routes = made(*arguments)
        for route in ours:
            routes._add(route)
        return routes

    monkeypatch.setattr(server_module, "all_routes", with_ours)


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/nothing", 404, None),
        ("POST", "/nothing", 404, None),
        ("DELETE", "/v1/nothing", 404, None),
        ("POST", "/", 405, "GET, HEAD"),
        ("PATCH", "/healthz", 405, "GET, HEAD"),
        ("POST", "/v1/stream", 405, "GET, HEAD"),
        ("GET", "/v1/verify", 405, "POST"),
        ("HEAD", "/v1/verify", 405, "POST"),
        ("OPTIONS", "/v1/verify", 405, "POST"),
        ("HEAD", "/", 200, None),
        ("HEAD", "/healthz", 200, None),
        ("GET", "/v1/control", 426, None),
    ],
)
async def test_every_method_has_its_answer(
    server: Server, method: str, path: str, status: int, allowed: str | None
) -> None:
    response = await ask(server, method, path)
    assert (response.status, response.headers["Allow"]) == (status, allowed)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    if method == "HEAD":
        assert response.text == ""
        assert int(response.headers["Content-Length"]) > 0
    elif status in (404, 405):
        code = "not-found" if status == 404 else "wrong-method"
        assert json.loads(response.text)["error"]["code"] == code


async def test_roles_are_any_of_those_named(
    settings: Callable[..., Config], more: None, dial: Any
) -> None:
    tokens = [token("watch", "monitor"), token("boss", "admin"), token("mic", "stream")]
    async with Server(settings(tokens=tuple(tokens)), drain_s=0.2) as server:
        for name, status in (("watch", 200), ("boss", 200), ("mic", 401), ("x", 401)):
            response = await ask(server, "PUT", "/t/a%20b", b"12", headers=bearer(name))
            assert response.status == status
            if status == 200:
                assert json.loads(response.text) == {"name": "a b", "size": 2, "who": name}
            else:
                why = "is not known" if name == "x" else "role admin or monitor"
                assert why in response.text
        async with dial(server, "/v1/control", headers=bearer("watch")) as control:
            minted = (await control.ask(type="url_token", role="monitor"))["token"]
        assert (await ask(server, "PUT", f"/t/a?token={minted}")).status == 200
        assert (await ask(server, "PUT", f"/t/a?token={minted}")).status == 401


async def test_a_body_has_a_bound_whether_or_not_it_is_said(
    settings: Callable[..., Config], more: None
) -> None:
    async with Server(settings(), drain_s=0.2) as server:
        for size, status in ((100, 200), (101, 413)):
            assert (await ask(server, "PUT", "/t/a", bytes(size))).status == status
            pieces = iter([bytes(60), bytes(size - 60)])
            assert (await ask(server, "PUT", "/t/a", pieces)).status == status


async def answered(server: Server, request: bytes, pieces: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        for at in range(0, len(request), pieces):
            writer.write(request[at : at + pieces])
            await asyncio.sleep(0)
        writer.write_eof()
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.transport.abort()


async def test_whatever_is_sent_is_answered_or_closed_and_never_fails(
    settings: Callable[..., Config], more: None
) -> None:
    random = Random(5)
    whole = (
        b"PUT /t/a?x=%41 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nOrigin: http://a\r\n\r\n1234"
    )
    async with Server(settings(), drain_s=0.2) as server:
        for _ in range(300):
            sent = bytearray(whole)
            for _ in range(random.randint(1, 6)):
                place = random.randrange(len(sent))
                sent[place : place + random.randint(0, 2)] = random.randbytes(random.randint(0, 3))
            told = await answered(server, bytes(sent), random.choice([7, 1000]))
            if told:
                status = int(told.split(b" ", 2)[1])
                assert 200 <= status < 500, (bytes(sent), told)
        assert "engine-failed" not in server.context.counts.errors
        assert (await get(server, "/healthz")).status == 200
        async with asyncio.timeout(20):
            await server._plain.empty()
        assert not server.context.crowd.members + server.context.crowd.strangers


async def test_heads_that_never_end_keep_out_nobody(
    settings: Callable[..., Config], more: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Server(settings(limits={"strangers": 4}), drain_s=0.2) as server:
        slow = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(12)]
        for number, (_, writer) in enumerate(slow):
            writer.write((b"GET / HTTP/1.1\r\nHost: a\r\n", b"P", b"PUT /t/a HT")[number % 3])
        for _ in range(5):
            assert (await get(server, "/healthz")).status == 200
        assert server.context.crowd.strangers <= 4
        for _, writer in slow:
            writer.transport.abort()


async def test_a_large_answer_comes_whole(settings: Callable[..., Config], more: None) -> None:
    async with Server(settings(), drain_s=0.2) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 12)
        writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0.2)  # the server has to wait for this client
        answer = await reader.read()
        writer.close()
    assert answer.endswith(LARGE)


async def test_the_log_names_method_route_status_and_who_but_nobody_else(
    settings: Callable[..., Config], more: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    config = settings(tokens=(token("desk", "admin"),))
    async with Server(config, drain_s=0.2) as server:
        await ask(server, "PUT", "/t/Anna?claim=Anna", b"Anna", headers=bearer("desk"))
        await ask(server, "PUT", "/t/Anna", bytes(200), headers=bearer("desk"))
        await ask(server, "PUT", "/t/Anna?token=Anna")
        await get(server, "/fail/Anna")
        await get(server, "/healthz")
        await get(server, "/Anna")
    lines = [r.getMessage() for r in caplog.records if r.name == "voxwatch.server"]
    assert "PUT /t/{name}: 200 ok, token desk (" in "\n".join(lines)
    assert "PUT /t/{name}: 413 message-too-big, token desk (" in "\n".join(lines)
    assert "PUT /t/{name}: 401 unauthorised, somebody without a token" in lines
    assert "GET /fail/{name}: 500 engine-failed, somebody without a token" in lines
    assert not [line for line in lines if "Anna" in line or "127.0.0.1" in line]
    assert not [line for line in lines if "healthz" in line or "404" in line]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /v1/verify HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /v1/verify\r\n\r\n", 400),
        (b"POST /v1/verify HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"POST /v1/verify HTTP/1.1\r\nHost: a\r\nOrigin: a\r\nOrigin: b\r\n\r\n", 400),
        (b"POST /v1/other HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 404),
        (b"POST / HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 30_000 + b"\r\n", 400),
        (b"GET /v1/verify HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
        (b"PUT /v1/other HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"PUT /v1/verify HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200),
    ],
)
async def test_whatever_is_asked_has_its_status(
    server: Server, request_: bytes, status: int
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request_)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.transport.abort()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
