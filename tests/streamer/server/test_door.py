"""TLS, who never shakes hands, and messages that never end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from certificates import self_signed
from websockets.asyncio.client import connect
from websockets.asyncio.messages import MAX_FRAGMENTS
from websockets.exceptions import ConnectionClosed

from engine.errors import VoxwatchError
from streamer.config import Config
from streamer.server.server import Server
from voxwatch_client import ConnectionFailed, ServerError, verify
from voxwatch_client.control import control


async def test_tls(
    settings: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.create_default_context(cafile=str(certificate))
    async with Server(settings(tls_cert=certificate, tls_key=key)) as server:
        assert server.url.startswith("https://")
        async with connect(
            server.url.replace("http", "ws") + "/v1/control", ssl=context
        ) as connection:
            await connection.send('{"id":1,"type":"status"}')
            assert json.loads(await connection.recv())["ok"]
        await our_client_with_tls(server, context, certificate, monkeypatch)
    broken = settings(tls_cert=key, tls_key=key)
    with pytest.raises(VoxwatchError, match="cannot be used for TLS"):
        async with Server(broken):
            pass


async def who_never_shakes_hands(
    settings: Callable[..., Config], certificate: Path, key: Path
) -> None:
    config = settings(tls_cert=certificate, tls_key=key, limits={"strangers": 4})
    context = ssl.create_default_context(cafile=str(certificate))
    async with Server(config, drain_s=0.2) as server:
        silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
        for _ in range(3):
            url = server.url.replace("http", "ws") + "/v1/control"
            async with connect(url, ssl=context) as connection:
                await connection.send('{"id":1,"type":"status"}')
                assert json.loads(await connection.recv())["ok"]
        assert server.context.crowd.strangers <= 4
        assert server.context.crowd.cut["strangers"] >= 16
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.port, ssl=context, server_hostname="127.0.0.1"
        )
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert b"Strict-Transport-Security" in await reader.read()
        for _, end in [*silent, (reader, writer)]:
            end.close()


async def test_who_never_shakes_hands_takes_no_place(
    settings: Callable[..., Config], tmp_path: Path
) -> None:
    await who_never_shakes_hands(settings, *self_signed(tmp_path))


def test_nor_on_uvloop(settings: Callable[..., Config], tmp_path: Path) -> None:
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(who_never_shakes_hands(settings, *self_signed(tmp_path)))


async def test_nor_where_another_process_has_accepted_it(
    settings: Callable[..., Config], tmp_path: Path
) -> None:
    certificate, key = self_signed(tmp_path)
    config = settings(tls_cert=certificate, tls_key=key, limits={"strangers": 4})
    gone: list[int] = []
    async with Server(config, drain_s=0.2) as server:
        clients = []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            for number in range(20):
                clients.append(socket.create_connection(listener.getsockname()))
                accepted, _ = listener.accept()
                await server.take(accepted, partial(gone.append, number))
        async with asyncio.timeout(20):
            while len(gone) < 16:
                await asyncio.sleep(0.01)
        assert server.context.crowd.strangers == 4
        assert gone == list(range(16))
        for client in clients:
            client.close()


async def our_client_with_tls(
    server: Server, context: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.url.replace("http", "ws")
    async with control(url, tls=context) as client:
        assert await client.request("status")
    with pytest.raises(ServerError, match="the body is empty"):
        await verify(url, b"", tls=context)
    with pytest.raises(ConnectionFailed, match=r"not trusted .* with --ca"):
        async with control(url):
            pass
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # where the system's are
    async with control(url) as client:
        assert await client.request("status")
    plain = url.replace("wss:", "ws:")
    with pytest.raises(ConnectionFailed, match="is not encrypted"):
        async with control(plain, tls=context):
            pass
    with pytest.raises(ConnectionFailed, match="wants wss://"):
        async with control(plain):
            pass


@pytest.mark.parametrize("started", [True, False])
async def test_a_message_of_too_many_fragments_is_refused_to_its_end(
    server: Server, dial: Any, caplog: pytest.LogCaptureFixture, started: bool
) -> None:
    async with dial(server, **({"claim": ""} if started else {})) as client:
        with contextlib.suppress(ConnectionClosed):
            await client.connection.send([b""] * (4 * MAX_FRAGMENTS) + [bytes(320)])
        assert await client.rest() == 1009
    assert client.seen[-1]["code"] == "message-too-big"
    assert not [line for line in caplog.messages if "failed" in line]
