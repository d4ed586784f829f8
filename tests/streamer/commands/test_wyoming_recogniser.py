"""Recognisers that hang or break off: neither satellite nor proxy waits for them for ever."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from satellite import chunk, proxy
from wyoming.audio import AudioStart, AudioStop
from wyoming.client import AsyncClient

from streamer.server.server import Server
from voxwatch_client import wyoming

START = AudioStart(rate=16_000, width=2, channels=1).event()
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def accepting(answer: Callable[[Any], None]) -> AsyncIterator[tuple[str, list[Streams]]]:
    """A recogniser that does ``answer`` with what it accepts: its address and connections."""
    connections: list[Streams] = []

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append((reader, writer))
        answer(writer.transport)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections
    finally:
        server.close()
        for _, writer in connections:
            writer.transport.abort()
        await asyncio.sleep(0)


def hang(transport: Any) -> None:
    """Read nothing, as a process that has stopped."""
    transport.pause_reading()


async def fill(satellite: AsyncClient) -> None:
    """Send sound until no more of it is taken."""
    await satellite.write_event(START)
    while True:
        try:
            async with asyncio.timeout(0.5):
                await satellite.write_event(chunk(bytes(1 << 16)))
        except TimeoutError:
            return


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_proxy_ends_though_its_recogniser_hangs(
    server: Server, caplog: pytest.LogCaptureFixture, leaves: bool
) -> None:
    """Whether the satellite has left before or not."""
    async with asyncio.timeout(60), accepting(hang) as (upstream, _):
        async with proxy(server.url, upstream) as uri:
            satellite = AsyncClient.from_uri(uri)
            await satellite.connect()
            await fill(satellite)
            assert satellite._writer
            if leaves:
                satellite._writer.transport.abort()
        satellite._writer.transport.abort()
    assert not [one for one in caplog.records if one.name in ("asyncio", "voxwatch_client")]


async def test_a_satellite_is_let_go_when_its_recogniser_hangs(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wyoming, "TAKE_S", 0.1)
    async with accepting(hang) as (upstream, _), proxy(server.url, upstream) as uri:
        satellite = AsyncClient.from_uri(uri, read_timeout=30)
        await satellite.connect()
        with suppress(ConnectionError):
            while True:
                await fill(satellite)
    assert "it takes no more sound" in caplog.text


@pytest.mark.parametrize("said", [b"", b'{"type": "transcript", "data_length": 20}\n{"te'])
async def test_a_satellite_is_let_go_when_its_recogniser_breaks_off(
    server: Server, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    """Killed while the satellite waits for a transcript, also in the middle of saying it."""
    async with (
        asyncio.timeout(60),
        accepting(lambda _: None) as (upstream, connections),
        proxy(server.url, upstream) as uri,
        AsyncClient.from_uri(uri) as satellite,
    ):
        for event in (START, chunk(bytes(3200)), AudioStop().event()):
            await satellite.write_event(event)
        while not connections:
            await asyncio.sleep(0.01)
        ((reader, writer),) = connections
        await reader.readuntil(b"audio-stop")
        if said:
            writer.write(said)
            writer.close()
        else:
            linger = struct.pack("ii", 1, 0)  # a reset
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        assert await satellite.read_event() is None
    assert "the recogniser broke off: " in caplog.text
