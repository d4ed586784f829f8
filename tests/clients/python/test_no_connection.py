"""Where no connection can be made, the client says why."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from scripted_server import Scripted
from websockets.asyncio.server import ServerConnection, serve

from voxwatch_client import (
    ConnectionFailed,
    connect,
    opening,
)


async def test_nobody_listens() -> None:
    with pytest.raises(
        ConnectionFailed, match=r"ws://127.0.0.1:9 \(Connection refused\).*voxwatch serve"
    ):
        async with connect("ws://127.0.0.1:9"):
            pass


@pytest.mark.parametrize("url", ["localhost:8765", "ftp://localhost", "ws://", ""])
async def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConnectionFailed, match="write ws://HOST:PORT"):
        async with connect(url):
            pass


@pytest.mark.parametrize(
    ("status", "says"), [(401, "wants a token"), (403, "does not allow"), (503, "HTTP 503")]
)
async def test_a_refusal_before_the_upgrade(status: int, says: str) -> None:
    def refuse(connection: ServerConnection, request: Any) -> Any:
        return connection.respond(status, "no")

    async with serve(Scripted(), "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(ConnectionFailed, match=says) as caught:
            async with connect(f"http://user:pass@127.0.0.1:{port}"):
                pass
        assert "pass" not in str(caught.value)
        assert caught.value.transient is (status == 503)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"error": {"code": "x", "message": "say it so"}}', "say it so"),
        ('{"error": {"message": 3}}', "it wants a token"),
        ('{"error": 3}', "it wants a token"),
    ],
)
async def test_the_servers_own_words_are_told(body: str, says: str) -> None:
    def refuse(connection: ServerConnection, request: Any) -> Any:
        return connection.respond(401, body)

    async with serve(Scripted(), "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(ConnectionFailed, match=rf"HTTP 401\): {says}"):
            async with connect(f"ws://127.0.0.1:{port}"):
                pass


async def test_a_server_of_another_kind() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionFailed, match="does not speak WebSocket"):
            async with connect(f"ws://127.0.0.1:{port}"):
                pass


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 101 Switc"])
async def test_a_server_that_ends_during_the_handshake_is_not_told_to_be_another(
    said: bytes,
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionFailed, match="closed the connection unanswered") as failed:
            async with connect(f"ws://127.0.0.1:{port}"):
                pass
    assert failed.value.transient


async def test_a_server_that_says_nothing(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mute(connection: ServerConnection) -> None:
        await connection.wait_closed()

    monkeypatch.setattr(opening, "OPEN_TIMEOUT_S", 0.05)
    async with serve(mute, "127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        with pytest.raises(ConnectionFailed, match="does not answer"):
            async with connect(f"ws://127.0.0.1:{port}"):
                pass
