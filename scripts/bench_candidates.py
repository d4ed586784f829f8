"""Candidates of a measurement: each sends the demonstration's call and keeps what it is told."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from engine import events
from engine.audio.files import read_audio
from streamer.bench.processes import Served
from streamer.bench.sound import s16le
from streamer.records.entries import RecordedEvent

VOICES = Path(__file__).resolve().parent / "demo_voices"
BYTES_PER_S = 32_000
PIECE_S = 0.5  # of sound in a message
KEPT = {str(kind.__struct_config__.tag) for kind in RecordedEvent.__args__} - {"lag"}
# Candidates come one after another: of more than `limits.strangers` connections that are not let in
# yet the server cuts off those that came first.
APART_S = 0.02


@dataclass
class Candidate:
    """A client: what it sends, what it was told, and when (s since 1970)."""

    number: int
    sound: bytes
    breaks: bool
    told: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    stream: str = ""
    sent_s: float = 0.0

    async def run(self, url: str, seconds: float, speed: float, until: float) -> None:
        """Send ``seconds`` of sound, or what can be sent until that monotonic time."""
        address, query, broken = url.replace("http", "ws", 1), "claim=Anna&live=false", False
        await asyncio.sleep(self.number * APART_S)
        began = time.monotonic()
        while True:
            # Its own pings would lie behind the sound that the server has not come to yet.
            there = f"{address}/v1/stream?{query}"
            async with connect(there, compression=None, ping_interval=None) as client:
                ready = json.loads(await client.recv())
                self.stream, self.sent_s = ready["stream"], ready["received_bytes"] / BYTES_PER_S
                hearing = asyncio.create_task(self._hear(client))
                while self.sent_s < seconds and time.monotonic() < until and not hearing.done():
                    await client.send(self._piece())
                    self.sent_s += PIECE_S
                    await asyncio.sleep(max(0.0, began + self.sent_s / speed - time.monotonic()))
                    if self.breaks and not broken and self.sent_s > seconds / 20:
                        break
                if self.breaks and not broken:
                    broken = True
                    client.transport.abort()
                    await hearing
                    last = len(self.told)
                    query = f"session={ready['session']}&resume_from={last + 1}"
                    continue
                with contextlib.suppress(ConnectionClosed):
                    await client.send('{"type": "finalize"}')
                await hearing
                return

    def _piece(self) -> bytes:
        size = round(PIECE_S * BYTES_PER_S)
        at = (round(self.sent_s * BYTES_PER_S) + self.number * 8 * BYTES_PER_S) % len(self.sound)
        return (self.sound + self.sound[:size])[at : at + size]

    async def _hear(self, client: Any) -> None:
        with contextlib.suppress(ConnectionClosed, OSError):
            async for text in client:
                self.told.append((time.time(), json.loads(text)))

    def kept(self) -> list[tuple[float, tuple[Any, ...]]]:
        """What the record should have, and when it was told."""
        return [(at, _mark(m)) for at, m in self.told if m["type"] in KEPT]


def _mark(message: dict[str, Any]) -> tuple[Any, ...]:
    return (message["type"], message["t"], message.get("state"))


def enrol(folder: Path) -> None:
    """Anna, of the demonstration."""
    command = [sys.executable, "-m", "streamer.cli", "enroll", "Anna", str(VOICES / "anna.ogg")]
    subprocess.run([*command, "--consent", "--data", str(folder)], check=True, stdout=-3)


def candidates(count: int, broken: int) -> list[Candidate]:
    """Each at another place of the call; the first ``broken`` lose their connection once."""
    sound = s16le(np.asarray(read_audio(VOICES / "call.ogg").waveform, np.float32))
    sound = sound[: len(sound) // BYTES_PER_S * BYTES_PER_S]
    return [Candidate(n, sound, n < broken) for n in range(count)]


async def load(
    served: Served, people: Sequence[Candidate], options: argparse.Namespace, most_s: float
) -> Counter[str]:
    """All of them at once, for at most so long; how many ended with which error."""
    until = time.monotonic() + most_s
    runs = [one.run(served.url, options.seconds, options.speed, until) for one in people]
    ended = await asyncio.gather(*runs, return_exceptions=True)
    return Counter(repr(one) for one in ended if isinstance(one, BaseException))


def heard(one: Candidate) -> list[events.Event]:
    """What a candidate was told, as events."""
    decoder, said = msgspec.json.Decoder(events.AnyEvent), []
    for _, message in one.told:
        with contextlib.suppress(msgspec.ValidationError):  # `configured` is no event
            bare = {name: value for name, value in message.items() if name != "at_time"}
            said.append(decoder.decode(msgspec.json.encode(bare)))
    return said
