"""Clients that mean no good: `python -m scripts.attack.attackers NAME ws://HOST:PORT SECONDS`.

A process of its own, so that what they cost is not counted as the server's. None of them needs a
token, as the server listens on loopback.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import secrets
import sys
import urllib.parse
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np

from streamer.store.consent import TEXT_VERSION

TEXT, BINARY, PING = 0x81, 0x82, 0x89
START = b'{"type":"start"}'
CONSENT = {"given": True, "text_version": TEXT_VERSION}
PIECE_S = 0.1  # of sound in a message of a live stream
SPEECH = Path(__file__).parents[1] / "demo_voices" / "anna.ogg"

Attack = Callable[[str, float], Coroutine[Any, Any, None]]


def frame(opcode: int, payload: bytes) -> bytes:
    """A client's frame, masked with zeros."""
    size = len(payload)
    if size < 126:
        head = bytes([opcode, 0x80 | size])
    elif size < 1 << 16:
        head = bytes([opcode, 0xFE]) + size.to_bytes(2, "big")
    else:
        head = bytes([opcode, 0xFF]) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


async def opened(url: str, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A WebSocket; what comes from the server is read only as far as the reader's small limit."""
    parts = urllib.parse.urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=4096)
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def pour(
    url: str, path: str, first: bytes, again: bytes, seconds: float, *, read: bool = False
) -> None:
    """Send ``again`` as fast as it is taken, and read nothing unless told to."""
    # The server may refuse it or hang up, which is what is measured; or the time is over.
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
        async with asyncio.timeout(seconds):
            reader, writer = await opened(url, path)
            drain = asyncio.create_task(drained(reader)) if read else None
            try:
                writer.write(first)
                await writer.drain()
                while not again:
                    await asyncio.sleep(seconds)
                while True:
                    writer.write(again)
                    await writer.drain()
            finally:
                if drain:
                    drain.cancel()
                writer.transport.abort()


async def drained(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 16):
        pass


async def many(count: int, make: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*(make(number) for number in range(count)))


def speech() -> bytes:
    """A minute of speech, s16le at 16 kHz."""
    import soundfile as sf

    sound, _ = sf.read(SPEECH, dtype="int16")
    return np.resize(sound, 60 * 16_000).tobytes()


def pieces(sound: bytes, size: int) -> bytes:
    """All of the sound in frames of so many bytes."""
    return b"".join(frame(BINARY, sound[i : i + size]) for i in range(0, len(sound), size))


async def long_requests(url: str, seconds: float) -> None:
    """254 connections send requests of 1 MB, and then of 60 kB, whose answers are never read."""
    for size in (1_000_000, 60_000, 60_000):
        again = frame(TEXT, json.dumps({"id": "x" * size, "type": "status"}).encode())
        await asyncio.gather(
            *(pour(url, "/v1/control", b"", again, seconds / 3) for _ in range(254))
        )


async def pings(url: str, seconds: float) -> None:
    """Four connections ping and read nothing."""
    again = frame(PING, bytes(100)) * 500
    await many(4, lambda _: pour(url, "/v1/control", b"", again, seconds))


async def tiny(url: str, seconds: float) -> None:
    """Twenty clients send messages of one byte, or of none."""
    one, none = frame(BINARY, b"\0") * 500, frame(BINARY, b"") * 500
    await many(
        20,
        lambda n: pour(
            url, "/v1/stream", frame(TEXT, START), none if n % 2 else one, seconds, read=True
        ),
    )


async def files(url: str, seconds: float, count: int = 20) -> None:
    """Twenty clients send files as fast as they are taken."""
    again = pieces(speech(), 16_000)
    await many(
        count,
        lambda _: pour(url, "/v1/stream", frame(TEXT, START), again, seconds, read=True),
    )


async def deaf(url: str, seconds: float) -> None:
    """Monitors, streams and control connections that never read, twenty of each."""
    again, status = pieces(speech(), 16_000), frame(TEXT, b'{"id":1,"type":"status"}') * 100
    await many(
        60,
        lambda n: (
            pour(url, "/v1/monitor?levels=1", b"", b"", seconds),
            pour(url, "/v1/stream", frame(TEXT, START), again, seconds),
            pour(url, "/v1/control", b"", status, seconds),
        )[n % 3],
    )


async def enrolments(url: str, seconds: float) -> None:
    """150 enrolments at once, sent as fast as they are taken."""
    again = pieces(speech(), 16_000)

    async def enrol(number: int) -> None:
        fields = {"type": "start", "name": f"attack {number}", "consent": CONSENT}
        first = frame(TEXT, json.dumps(fields).encode())
        await pour(url, "/v1/enroll", first, again, seconds, read=True)

    await many(150, enrol)


async def first_messages(url: str, seconds: float) -> None:
    """1,500 connections whose first message is too long or wrong, a hundred at a time."""
    too_long = bytes([BINARY, 0xFF]) + (1 << 40).to_bytes(8, "big") + bytes(100_000)
    wrong = (frame(BINARY, bytes(1_000_000)), frame(TEXT, b'{"type":"' + b"x" * 1_000_000 + b'"}'))
    async with asyncio.timeout(seconds):
        for _ in range(15):
            await many(
                100, lambda n: pour(url, "/v1/stream", (too_long, *wrong)[n % 3], b"", seconds / 16)
            )


async def held(url: str, seconds: float) -> None:
    """300 sockets that say nothing."""
    parts = urllib.parse.urlsplit(url)
    ends = []
    for _ in range(300):
        with contextlib.suppress(OSError):  # the server takes no more
            ends.append(await asyncio.open_connection(parts.hostname, parts.port))
    await asyncio.sleep(seconds)
    for _, writer in ends:
        writer.transport.abort()


async def crowd(url: str, seconds: float) -> None:
    """200 live streams that begin at once, more than the machine carries."""
    sound, size = speech(), round(PIECE_S * 32_000)
    spoken = [frame(BINARY, sound[i : i + size]) for i in range(0, len(sound), size)]

    async def talk(number: int) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):  # refused, or cut off
            reader, writer = await opened(url, "/v1/stream")
            refused = asyncio.create_task(drained(reader))
            writer.write(frame(TEXT, START))
            for piece in (spoken[number % len(spoken) :] + spoken) * (1 + int(seconds // 60)):
                await asyncio.wait([refused], timeout=PIECE_S)
                if refused.done():
                    break
                writer.write(piece)
                await writer.drain()
            writer.transport.abort()
            refused.cancel()

    async with asyncio.timeout(seconds):
        await many(200, talk)


ATTACKS: dict[str, Attack] = {
    "long-requests": long_requests,
    "pings": pings,
    "tiny": tiny,
    "files": files,
    "deaf": deaf,
    "enrolments": enrolments,
    "first-messages": first_messages,
    "held": held,
    "crowd": crowd,
}


if __name__ == "__main__":
    with contextlib.suppress(TimeoutError):
        asyncio.run(ATTACKS[sys.argv[1]](sys.argv[2], float(sys.argv[3])))
