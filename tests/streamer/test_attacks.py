"""The attacks of scripts/attack in a short form: what they may take is bounded and given back."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
from server_requests import bearer, get, token
from websockets.exceptions import ConnectionClosed

from streamer.config import Config
from streamer.server import connection as connections
from streamer.server import control
from streamer.server import server as servers
from streamer.server.connection import Connection
from streamer.server.incoming import JOINED_BYTES, MOST_BYTES
from streamer.server.intake import MESSAGE_S
from streamer.server.limits import admission
from streamer.server.limits.capacity import Capacity
from streamer.server.limits.turns import SLICE_BYTES
from streamer.server.server import Server

TEXT, BINARY, PING = 0x81, 0x82, 0x89
CONSENT = {"given": True, "text_version": "2026-11"}


def frame(opcode: int, payload: bytes) -> bytes:
    """A frame of a client, masked with zeros."""
    size = len(payload)
    head = bytes([opcode, 0x80 | size]) if size < 126 else bytes([opcode, 0xFE, *divmod(size, 256)])
    return head + bytes(4) + payload


@asynccontextmanager
async def raw(server: Server, path: str) -> AsyncIterator[asyncio.StreamWriter]:
    """A WebSocket of which nothing is read after the handshake."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    headers = {
        "Host": f"127.0.0.1:{server.port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
    }
    lines = [f"GET {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    writer.write("\r\n".join(lines).encode())
    await reader.readuntil(b"\r\n\r\n")
    try:
        yield writer
    finally:
        writer.transport.abort()


def only(server: Server) -> Connection:
    (connection,) = server._listener.all_connections
    assert isinstance(connection, Connection)
    return connection


async def poured(server: Server, writer: asyncio.StreamWriter, data: bytes, times: int) -> int:
    """Send ``data`` again and again; the most bytes that waited for the client meanwhile."""
    connection, most = only(server), 0
    with suppress(ConnectionError, TimeoutError):
        for _ in range(times):
            writer.write(data)
            async with asyncio.timeout(5):
                await writer.drain()
            most = max(most, connection.transport.get_write_buffer_size())
    return most


async def test_pings_whose_answers_are_not_read_take_no_memory(server: Server) -> None:
    async with raw(server, "/v1/control") as writer:
        most = await poured(server, writer, frame(PING, bytes(125)) * 1000, 40)
    assert most < connections.KERNEL_BYTES


async def test_who_reads_nothing_is_cut_off(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "UNREAD_S", 0.2)
    async with raw(server, "/v1/control") as writer:
        connection = only(server)
        await poured(server, writer, frame(PING, bytes(125)) * 1000, 40)
        async with asyncio.timeout(10):
            await connection.wait_closed()


async def test_pings_that_are_read_are_answered(server: Server, dial: Any) -> None:
    async with dial(server, claim="") as client:
        await client.hear()
        for _ in range(100):
            async with asyncio.timeout(10):
                await (await client.connection.ping())


async def test_a_request_has_a_length(server: Server, dial: Any) -> None:
    async with dial(server, "/v1/control") as client:
        await client.say(id="x" * 100_000, type="status")
        assert await client.rest() == 1009
        assert client.seen[-1]["code"] == "message-too-big"


@pytest.mark.parametrize("size", [0, 1, 7])
async def test_sound_in_tiny_messages_is_joined_and_all_of_it_is_heard(
    server: Server, dial: Any, pcm: Any, size: int
) -> None:
    sound = pcm("anna", 0.5)
    pieces = [sound[i : i + size] for i in range(0, len(sound), size)] if size else 5000 * [b""]
    most = 0
    async with dial(server, claim="") as client:
        await client.hear()
        incoming = only(server).recv_messages
        for start in range(0, len(pieces), 500):
            data = b"".join(frame(BINARY, piece) for piece in pieces[start : start + 500])
            client.connection.transport.write(data)
            await asyncio.sleep(0)
            most = max(most, len(incoming.frames))
        await client.say(type="finalize")
        assert await client.rest() == 1000
    assert client.seen[-1]["received_s"] == pytest.approx(0.5 if size else 0.0)
    assert sum(server.context.quota._total.values()) >= 0.99 * MESSAGE_S * len(pieces)
    assert most <= 2 + SLICE_BYTES // JOINED_BYTES


async def test_who_sends_more_than_is_taken_waits_in_the_socket(
    server: Server, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with dial(server, claim="") as client:
        await client.hear()
        connection = only(server)
        (live,) = server.streams.all()
        async with live.intake.taking:  # as while the engine has no room
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await client.sound(bytes(50_000_000), 1 << 16)
            held = len(connection._bytes) + connection.recv_messages.size
            assert held <= MOST_BYTES + (1 << 16) + 2 * 256_000
            assert server.context.crowd.held >= connection.recv_messages.size
        client.connection.transport.abort()
    async with asyncio.timeout(10):
        while server.context.crowd.held:
            await asyncio.sleep(0.02)


async def test_strangers_take_no_place_of_a_token_or_of_a_health_check(
    settings: Callable[..., Config], dial: Any
) -> None:
    config = settings(limits={"strangers": 8, "connections": 4}, tokens=(token("s", "stream"),))
    async with Server(config, drain_s=0.2) as server, AsyncExitStack() as stack:
        for _ in range(30):  # some say nothing, some ask for a control connection
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            stack.callback(writer.close)
            await stack.enter_async_context(raw(server, "/v1/control"))
        for _ in range(3):
            client = await stack.enter_async_context(dial(server, claim="", headers=bearer("s")))
            assert (await client.hear())["type"] == "ready"
            assert (await get(server, "/healthz")).status == 200
        assert server.context.crowd.strangers <= 8
        assert server.context.crowd.cut["strangers"] >= 50
        await client.say(type="keepalive")
        assert (await get(server, "/v1/stream?claim=", bearer("s"))).status == 503


async def test_who_was_cut_off_for_want_of_room_is_in_the_log(
    settings: Callable[..., Config],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(servers, "TIDY_S", 0.05)
    config = settings(limits={"strangers": 8}, tokens=(token("s", "stream"),))
    async with Server(config, drain_s=0.2) as server, AsyncExitStack() as stack:
        for _ in range(30):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            stack.callback(writer.close)
        async with asyncio.timeout(10):
            while "connections were cut off, so far: strangers 2" not in caplog.text:
                await asyncio.sleep(0.02)


async def test_a_stranger_has_a_few_seconds_to_show_a_token(
    settings: Callable[..., Config], dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "STRANGER_S", 0.5)
    config = settings(tokens=(token("m", "monitor"),))
    async with Server(config, drain_s=0.2) as server:
        async with dial(server, "/v1/control") as client:
            answers = 0
            with suppress(ConnectionClosed):
                while True:  # who only keeps asking is not kept
                    await client.say(id=1, type="status")
                    answers += "id" in await client.hear()
                    await asyncio.sleep(0.1)
            assert answers
            assert client.connection.close_code == 1008
        monkeypatch.setattr(control, "STRANGER_S", 3.0)
        async with dial(server, "/v1/control") as client:
            assert (await client.ask(type="authenticate", token="m"))["roles"] == ["monitor"]
            await asyncio.sleep(3.5)
            assert await client.ask(type="streams") == []
            assert server.context.crowd.members == 1


async def test_so_many_enrolments_at_once_and_no_more(
    settings: Callable[..., Config], dial: Any
) -> None:
    async with Server(settings(limits={"enrolments": 2}), drain_s=0.2) as server:
        async with AsyncExitStack() as stack:
            for name in ("anna", "bert"):
                client = await stack.enter_async_context(dial(server, "/v1/enroll"))
                await client.say(type="start", name=name, consent=CONSENT)
                assert (await client.hear())["type"] == "ready"
            third = await stack.enter_async_context(dial(server, "/v1/enroll"))
            await third.say(type="start", name="carl", consent=CONSENT)
            assert await third.rest() == 1013
            assert third.seen[-1]["code"] == "overloaded"
        async with dial(server, "/v1/enroll") as client:
            await client.say(type="start", name="carl", consent=CONSENT)
            assert (await client.hear())["type"] == "ready"


async def test_live_sound_that_waits_unread_is_told(server: Server, dial: Any, pcm: Any) -> None:
    sound = pcm("anna", 8.0)
    async with dial(server, claim="") as client:
        await client.hear()
        (live,) = server.streams.all()
        async with live.intake.taking:  # as while the machine is busy with others
            await client.sound(sound[:96_000], 3200)
            await asyncio.sleep(2.5)
        await client.sound(sound[96_000:99_200], 3200)
        lag = await client.until("lag")
        assert (lag["reason"], lag["hop_s"], lag["dropped"]) == ("overload", None, 0)
        assert lag["behind_s"] > 1.0
        await asyncio.sleep(0.6)
        await client.sound(sound[99_200:102_400], 3200)
        assert (await client.until("lag"))["behind_s"] == 0.0
        await client.say(type="finalize")
        assert await client.rest() == 1000


async def test_a_machine_that_is_behind_lets_nobody_in_and_says_when_to_come_back(
    server: Server, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "WAIT_S", 0.3)
    monkeypatch.setattr(Capacity, "has_room", lambda *_: False)
    async with dial(server, claim="") as client:
        assert await client.rest() == 1013
        (error,) = client.seen
        assert (error["code"], error["retry_s"]) == ("overloaded", admission.RETRY_S)
    assert not server.streams.all()
    monkeypatch.undo()
    async with dial(server, claim="") as client:
        assert (await client.hear())["type"] == "ready"


async def test_who_waits_is_let_in_when_there_is_room_in_the_order_of_coming(
    server: Server, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, inside = 0, []
    monkeypatch.setattr(Capacity, "has_room", lambda *_: len(inside) < room)
    monkeypatch.setattr(Capacity, "let_in", lambda *_: inside.append(1))
    async with AsyncExitStack() as stack:
        clients = []
        for number in range(3):
            clients.append(await stack.enter_async_context(dial(server, label=str(number))))
            await asyncio.sleep(0.1)
        room = 2
        assert [(await client.hear())["type"] for client in clients[:2]] == ["ready"] * 2
        # Let in at once, each reads the store for itself, and either may be done first.
        assert sorted(stream.label for stream in server.streams.all()) == ["0", "1"]
        assert (await clients[2].hear())["code"] == "overloaded"


async def test_a_finished_stream_frees_its_place_at_once(
    settings: Callable[..., Config], dial: Any
) -> None:
    limits = {"streams": 1, "resume_s": 60.0}
    async with Server(settings(limits=limits), drain_s=0.2) as server:
        for _ in range(4):
            async with raw(server, "/v1/stream") as writer:
                writer.write(frame(TEXT, b'{"type":"start"}') + frame(TEXT, b'{"type":"close"}'))
                async with asyncio.timeout(10):
                    while not any(s.outbox.ended for s in server.streams.all()):
                        await asyncio.sleep(0.02)
        assert len(server.streams) <= 2  # it can still be asked what they said


async def test_one_client_leaves_places_for_the_next(
    settings: Callable[..., Config], dial: Any
) -> None:
    config = settings(limits={"streams": 8})
    async with Server(config, drain_s=0.2) as server, AsyncExitStack() as stack:
        told = []
        for _ in range(8):
            client = await stack.enter_async_context(dial(server, claim=""))
            told.append((await client.hear())["type"])
        assert told == 6 * ["ready"] + 2 * ["error"]
        assert client.seen[0]["code"] == "overloaded"
        assert server.streams._places.may_take(("192.0.2.1",))


async def test_wrong_first_messages_leave_nothing_behind(server: Server, dial: Any) -> None:
    for first in (b"\0" * 900_000, json.dumps({"type": "x" * 900_000})):
        for _ in range(5):
            async with dial(server) as client:
                await client.connection.send(first)
                assert await client.rest() in (1003, 1008)
    head = bytes([BINARY, 0xFF]) + struct.pack("!Q", 1 << 40) + bytes(4)
    async with dial(server) as client:
        client.connection.transport.write(head)
        assert await client.rest() == 1009
    async with asyncio.timeout(10):
        while server._listener.handler_tasks:
            await asyncio.sleep(0.02)
    crowd = server.context.crowd
    assert (crowd.held, crowd.members, crowd.strangers) == (0, 0, 0)
