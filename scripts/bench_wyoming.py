"""How much longer is a gated transcript held than the recogniser's own?

    python -m scripts.bench_wyoming --json scripts/results/wyoming.json

Spoken commands are played, at the pace of speech, to a recogniser and to the proxy before it at the
same time. It says its words so many milliseconds after the sound has ended; what the proxy's
transcript comes later by is what it is held. The recogniser is a stand-in: it hears
nothing, and one that takes its time hides the verdict behind it. Server, proxy and player share
this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile as sf
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.event import Event
from wyoming.server import AsyncEventHandler, AsyncServer

from engine.model.bundle import load_bundle
from scripts.figures import tell
from streamer.bench.engine import machine
from streamer.bench.processes import Served, server
from voxwatch_client.wyoming import ProxySettings, serve

ROOT = Path(__file__).parents[1]
VOICE = ROOT / "scripts" / "demo_voices" / "anna.ogg"
RATE_HZ = 16_000
SPEECH_S, QUIET_S = 3.0, 0.5  # of a command: satellites go on for a while after the last word
CHUNK = 1024  # samples of a message, as Home Assistant sends them
WAIT_S = 10.0


class Recogniser(AsyncEventHandler):
    """Says some words so many seconds after the end of the sound."""

    def __init__(self, *streams: Any, delay_s: float) -> None:
        super().__init__(*streams)
        self._delay_s = delay_s

    async def handle_event(self, event: Event) -> bool:
        if AudioStop.is_type(event.type):
            await asyncio.sleep(self._delay_s)
            await self.write_event(Transcript("open the door").event())
        return True


def commands(count: int) -> list[bytes]:
    """So many commands of one voice, 16 bit."""
    samples, rate = sf.read(VOICE, dtype="int16")
    assert rate == RATE_HZ
    speech, quiet = int(SPEECH_S * RATE_HZ), np.zeros(int(QUIET_S * RATE_HZ), np.int16)
    starts = np.linspace(0, len(samples) - speech, count).astype(int)
    return [np.concatenate([samples[s : s + speech], quiet]).tobytes() for s in starts]


class Held(NamedTuple):
    """Seconds from the end of the sound to the transcript, also of the server's CPU; its words."""

    seconds: float
    cpu_s: float
    text: str


def cpu_s(process: int) -> float:
    """Seconds of CPU that a process has taken (proc(5))."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def held(satellite: AsyncClient, sound: bytes, process: int) -> Held:
    """How long the transcript of a command takes."""
    await satellite.write_event(Transcribe().event())
    await satellite.write_event(AudioStart(rate=RATE_HZ, width=2, channels=1).event())
    began = time.monotonic()
    for number, start in enumerate(range(0, len(sound), 2 * CHUNK)):
        await asyncio.sleep(max(0.0, began + number * CHUNK / RATE_HZ - time.monotonic()))
        piece = sound[start : start + 2 * CHUNK]
        await satellite.write_event(
            AudioChunk(rate=RATE_HZ, width=2, channels=1, audio=piece).event()
        )
    await satellite.write_event(AudioStop().event())
    ended, cpu = time.monotonic(), cpu_s(process)
    while (event := await satellite.read_event()) is not None:
        if Transcript.is_type(event.type):
            text = Transcript.from_event(event).text
            return Held(time.monotonic() - ended, cpu_s(process) - cpu, text)
    raise ConnectionError("it has gone")


@asynccontextmanager
async def side_by_side(url: str, delay_s: float) -> AsyncIterator[tuple[AsyncClient, AsyncClient]]:
    """A satellite of the recogniser, and one of the proxy before it."""
    own, upstream = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    recogniser = AsyncServer.from_uri(upstream)
    settings = ProxySettings(upstream=upstream, server=url, claim="anna", wait_s=WAIT_S, keep=0)
    tasks = [
        asyncio.create_task(recogniser.run(partial(Recogniser, delay_s=delay_s))),
        asyncio.create_task(serve(own, settings)),
    ]
    try:
        direct, gated = await connected(upstream), await connected(own)
        yield direct, gated
        await direct.disconnect()
        await gated.disconnect()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await recogniser.stop()


async def connected(uri: str) -> AsyncClient:
    """A client of what listens there, or soon will."""
    while True:
        client = AsyncClient.from_uri(uri)
        with suppress(OSError):
            await client.connect()
            return client
        await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


async def measure(served: Served, sounds: list[bytes], delay_s: float) -> dict[str, Any]:
    """What both took for each command; the first one, which warms the server, does not count."""
    direct, gated, process = [], [], served.process.pid
    async with side_by_side(served.url, delay_s) as (satellite, gated_satellite):
        for sound in sounds:
            both = await asyncio.gather(
                held(satellite, sound, process), held(gated_satellite, sound, process)
            )
            direct.append(both[0])
            gated.append(both[1])
    longer = zip(direct[1:], gated[1:], strict=True)
    ms = sorted(round(1000 * (after.seconds - before.seconds), 1) for before, after in longer)
    return {
        "recogniser_ms": round(1000 * statistics.median(one.seconds for one in direct[1:]), 1),
        "held_longer_ms": {"median": statistics.median(ms), "least": ms[0], "most": ms[-1]},
        "server_cpu_ms": round(1000 * statistics.mean(one.cpu_s for one in gated[1:]), 1),
        "commands": len(ms),
        "passed": sum(bool(one.text) for one in gated[1:]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=15, help="and one before them")
    parser.add_argument("--delays", default="0,300", help="ms that the recogniser takes")
    parser.add_argument("--json", type=Path, help="where the figures are written")
    given = parser.parse_args()
    sounds = commands(given.commands + 1)
    with tempfile.TemporaryDirectory() as name:
        environment = {**os.environ, "VOXWATCH_DATA_DIR": name}
        enrol = [sys.executable, "-m", "streamer.cli", "enroll", "anna", str(VOICE), "--consent"]
        subprocess.run(enrol, env=environment, check=True, stdout=subprocess.DEVNULL)
        with server(Path(name), None, "cpu", batching=True) as served:
            runs = [
                asyncio.run(measure(served, sounds, float(delay) / 1000))
                for delay in given.delays.split(",")
            ]
    found = {"date": datetime.now(UTC).date().isoformat(), **machine_of(), "runs": runs}
    tell(found, given.json)


def machine_of() -> dict[str, Any]:
    """What it was measured on, and how busy that was."""
    return {**machine(load_bundle(), "cpu"), "load_1min": round(os.getloadavg()[0], 1)}


if __name__ == "__main__":
    main()
