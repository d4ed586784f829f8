"""Plain HTTP over TLS: what is long arrives whole, and a connection ends when it is answered."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from certificates import self_signed
from websockets.http11 import Response

from streamer.config import Config
from streamer.reports.spool import Spool
from streamer.server import server as server_module
from streamer.server.http import request as request_module
from streamer.server.http.request import Request
from streamer.server.http.responses import FileResponse, respond
from streamer.server.http.routes import Route, Routes
from streamer.server.server import Server

uvloop = pytest.importorskip("uvloop", reason="there is no uvloop for Windows")

LARGE = bytes(range(256)) * 4000  # many times what is written at once


async def large(request: Request) -> Response:
    return respond(200, LARGE)


async def large_file(request: Request) -> Response:
    file = Spool(Path(tempfile.gettempdir()))
    file.write(LARGE)
    file.end()
    request.held.callback(file.close)
    return FileResponse(file, "text/plain", policy="")


async def take(request: Request) -> Response:
    return respond(200, b"%d" % len(await request.body()))


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def talk(
    request: pytest.FixtureRequest,
    settings: Callable[..., Config],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[bytes], bytes]:
    """Sends to a server with TLS, and gives what it answers until it closes."""
    made = server_module.all_routes
    monkeypatch.setattr(request_module, "UNREAD_S", 3600.0)  # no answer waits for that

    def with_ours(*arguments: Any) -> Routes:
        routes = made(*arguments)
        routes._add(Route("GET", "/large", large, None))
        routes._add(Route("GET", "/large-file", large_file, None))
        routes._add(Route("PUT", "/take", take, None, body_bytes=100))
        return routes

    monkeypatch.setattr(server_module, "all_routes", with_ours)
    certificate, key = self_signed(tmp_path)
    context = ssl.create_default_context(cafile=str(certificate))

    @contextmanager
    def connected(port: int) -> Iterator[ssl.SSLSocket]:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            yield secure

    def exchange(port: int, sent: bytes) -> bytes:
        with connected(port) as secure:
            secure.sendall(sent)
            told = b""
            while piece := secure.recv(1 << 16):
                told += piece
            return told

    async def serve(sent: bytes) -> bytes:
        async with Server(settings(tls_cert=certificate, tls_key=key), drain_s=0.2) as server:
            return await asyncio.to_thread(exchange, server.port, sent)

    def run(sent: bytes) -> bytes:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(serve(sent))

    return run


@pytest.mark.parametrize("path", [b"/large", b"/large-file"])
def test_a_long_answer_arrives_whole(talk: Callable[[bytes], bytes], path: bytes) -> None:
    told = talk(b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path)
    head, _, body = told.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == LARGE


@pytest.mark.parametrize(("size", "status"), [(100, b"200"), (101, b"413"), (200_000, b"413")])
def test_a_body_is_answered(talk: Callable[[bytes], bytes], size: int, status: bytes) -> None:
    """One that is too long is refused by its head, while it is still being sent."""
    head = f"PUT /take HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n\r\n"
    assert talk(head.encode() + bytes(size)).startswith(b"HTTP/1.1 " + status)
