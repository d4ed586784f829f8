"""The demonstration: `scripts/demo` sets up and runs this.

Starts a server, enrols the two voices of `demo_voices` over its WebSocket, and streams a call
to it in real time in which Ben takes over from Anna, whose voice is claimed. With `--check`
the call is streamed once, and what the server said is held against `demo_voices/call.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from engine.format import INT16_PEAK
from scripts.demo_ending import until_called_off
from voxwatch_client import VerifyStream, connect, control, enroll
from voxwatch_client.messages import Change, Decision, Refused, Score, Summary, Utterance, Vad

ROOT = Path(__file__).resolve().parents[1]
VOICES = Path(__file__).resolve().parent / "demo_voices"
DATA = ROOT / "build" / "demo"  # stays: a visitor who has enrolled is known the next time
RATE_HZ = 16000
PIECE_S = 0.1
CLAIM, OTHER = "Anna", "Ben"

FIRST_SCORE_S = 1.8  # after speech began: a second of it, and half of one that is looked ahead
MATCH_S = 3.0  # after Anna began to speak
TAKEOVER_S = 4.0  # after Ben began to speak
DELAY_S = 2.0  # from a sound to the decision on it, on a machine that may be busy


@dataclass(frozen=True, slots=True)
class Told:
    """An event, and how long after the end of its sound it was received, in seconds."""

    event: Any
    delay_s: float


def pcm(path: Path) -> bytes:
    """A sound of the demonstration as s16le."""
    samples, _ = sf.read(path, dtype="float32")
    return s16le(samples)


def s16le(samples: NDArray[np.float32]) -> bytes:
    return (np.clip(samples, -1, 1) * INT16_PEAK).astype("<i2").tobytes()


def pieces(sound: bytes) -> Iterator[bytes]:
    size = 2 * round(PIECE_S * RATE_HZ)
    for start in range(0, len(sound), size):
        yield sound[start : start + size]


@contextlib.asynccontextmanager
async def server(port: int, data: Path) -> AsyncIterator[str]:
    """A server of its own process with the store in ``data``; gives its address."""
    data.mkdir(parents=True, exist_ok=True)
    log_file = data / "server.log"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("VOXWATCH_")}
    environment = {
        **inherited,
        "VOXWATCH_DATA_DIR": str(data),
        "VOXWATCH_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }
    with log_file.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamer.cli", "serve"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield await asyncio.to_thread(address, process, log_file)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, 15)
        except subprocess.TimeoutExpired:
            pass
        finally:  # also where it is called off a second time
            process.kill()
            if process.stdout:
                process.stdout.close()


def address(process: subprocess.Popen[str], log_file: Path) -> str:
    """The address that the server prints once it is ready."""
    assert process.stdout is not None
    for line in process.stdout:
        print(f"    {line.rstrip()}")
        for word in line.split():
            if word.startswith("http://"):
                return word.partition("#")[0].rstrip("/")
    raise SystemExit(f"error: the server did not start: {log_file.read_text().strip()}")


async def enrol_both(url: str) -> None:
    """Anna and Ben, where they are not there from the last time."""
    async with control(url) as requests:
        consent = (await requests.request("status"))["consent"]["text_version"]
        known = {
            profile["name"]: profile["usable"] for profile in await requests.request("profiles")
        }
        for name in (CLAIM, OTHER):
            if known.get(name) is False:  # enrolled with an older model
                await requests.request("delete", name=name)
    for name in (CLAIM, OTHER):
        if not known.get(name):
            await enrol(url, name, pcm(VOICES / f"{name.lower()}.ogg"), consent)


async def enrol(url: str, name: str, sound: bytes, consent: str) -> None:
    """Enrol a voice as any client would; the sound goes as fast as the server takes it."""
    async with enroll(url, name, consent=consent, live=False) as stream:
        sender = asyncio.create_task(send(stream, sound))
        async for event in stream:
            if isinstance(event, Refused):
                raise SystemExit(f"error: {name} was refused: {event.message}")
        sender.cancel()


async def send(stream: Any, sound: bytes) -> None:
    for piece in pieces(sound):
        await stream.send(piece)
    await stream.finalize()


async def call(stream: VerifyStream, sound: bytes, begun: float) -> None:
    """Send ``sound`` in real time from ``begun`` on."""
    for number, piece in enumerate(pieces(sound), start=1):
        await asyncio.sleep(begun + number * PIECE_S - time.monotonic())
        await stream.send(piece)


async def forever(url: str) -> None:
    """The call over and over, on one stream."""
    sound = pcm(VOICES / "call.ogg")
    async with connect(url, claim=CLAIM, label="Demonstration call") as stream:
        reader = asyncio.create_task(swallow(stream))
        begun, length = time.monotonic(), len(sound) / 2 / RATE_HZ
        while not reader.done():
            await call(stream, sound, begun)
            begun += length


async def swallow(stream: VerifyStream) -> None:
    async for _ in stream:
        pass


async def once(url: str) -> list[Told]:
    """One call from beginning to end, and everything that was told."""
    sound, told = pcm(VOICES / "call.ogg"), []
    async with connect(url, claim=CLAIM, label="Demonstration call") as stream:
        begun = time.monotonic()

        async def speak() -> None:
            await call(stream, sound, begun)
            await stream.finalize()

        speaker = asyncio.create_task(speak())
        async for event in stream:
            told.append(Told(event, time.monotonic() - begun - event.t))
        await speaker
    return told


def check(told: list[Told], truth: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """What must have happened, and whether it did."""
    events = [t.event for t in told]
    yield from check_beginning(events, truth)
    yield from check_takeover(events, truth)
    yield from check_turns(events, truth)
    delays = [t.delay_s for t in told if isinstance(t.event, Decision | Change)]
    yield (
        f"decisions at most {max(delays, default=9):.2f} s after their sound, within {DELAY_S} s",
        bool(delays) and max(delays) <= DELAY_S,
    )
    received = next((e.received_s for e in events if isinstance(e, Summary)), 0.0)
    yield (
        f"all {truth['duration_s']} s of sound were received: {received:.2f} s",
        abs(received - truth["duration_s"]) < 0.01,
    )


def times_of(events: list[Any], state: str) -> list[float]:
    """When it was decided so."""
    return [e.t for e in events if isinstance(e, Decision) and e.state == state]


def check_beginning(events: list[Any], truth: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Of the first voice."""
    anna, ben = truth["turns"]
    matches, mismatches = times_of(events, "match"), times_of(events, "mismatch")
    began = next((e.at for e in events if isinstance(e, Vad)), -9.0)
    scored = next((e.t for e in events if isinstance(e, Score)), -9.0)
    yield f"speech heard at {began:.1f} s, from {anna['start_s']} s", near(began, anna["start_s"])
    yield (
        f"first score {scored - began:.1f} s after it, within {FIRST_SCORE_S} s",
        0 < scored - began <= FIRST_SCORE_S,
    )
    yield (
        f"{CLAIM} matched at {matches[:1]} s, within {MATCH_S} s of speaking",
        bool(matches) and matches[0] <= anna["start_s"] + MATCH_S,
    )
    yield (
        f"no mismatch while {CLAIM} speaks: {[t for t in mismatches if t < ben['start_s']]}",
        not [t for t in mismatches if t < ben["start_s"]],
    )


def check_takeover(events: list[Any], truth: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Of the second voice."""
    _, ben = truth["turns"]
    matches, mismatches = times_of(events, "match"), times_of(events, "mismatch")
    changes = [e for e in events if isinstance(e, Change)]
    yield (
        f"mismatch at {mismatches[:1]} s, within {TAKEOVER_S} s of {OTHER}'s first word",
        bool(mismatches) and ben["start_s"] < mismatches[0] <= ben["start_s"] + TAKEOVER_S,
    )
    yield (
        f"one change of voice, told at {[round(c.detected_at, 1) for c in changes]} s",
        len(changes) == 1
        and ben["start_s"] < changes[0].detected_at <= ben["start_s"] + TAKEOVER_S + 1
        and abs(changes[0].at - ben["start_s"]) <= 2,
    )
    late = [t for t in matches if t > ben["start_s"] + TAKEOVER_S]
    yield f"no match while {OTHER} speaks: {late}", not late


def check_turns(events: list[Any], truth: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Of what each of them said."""
    anna, _ = truth["turns"]
    verdicts = [(e.state, e.start) for e in events if isinstance(e, Utterance)]
    own = [state for state, start in verdicts if start < anna["end_s"]]
    yield f"{CLAIM}'s turn judged by itself: {own}", bool(own) and set(own) == {"match"}
    others = [state for state, start in verdicts if start >= anna["end_s"]]
    yield f"{OTHER}'s turn judged by itself: {others}", bool(others) and "match" not in others


def near(a: float, b: float) -> bool:
    return abs(a - b) < 0.5


async def run(port: int, data: Path, checking: bool) -> int:
    print("==> starting the server")
    async with server(port, data) as url:
        print(f"==> enrolling {CLAIM} and {OTHER}, two synthetic voices")
        await enrol_both(url)
        if not checking:
            print(f"==> a call is on: {CLAIM} is claimed, {OTHER} takes over. Look at it here:")
            print(f"\n    {url}/#watch=first\n\n    (Ctrl-C ends it)")
            print(
                f"    Whoever enrols is kept until deleted: on the page, or with {data}", flush=True
            )
            await forever(url)
            return 1  # the server ended it
        truth = json.loads((VOICES / "call.json").read_text())
        print(f"==> one call of {truth['duration_s']:.0f} s, in real time")
        results = list(check(await once(url), truth))
    return verdict(results)


def verdict(results: list[tuple[str, bool]]) -> int:
    """Print what was checked; the exit status."""
    for line, right in results:
        print(f"    {'right' if right else 'WRONG'}  {line}")
    wrong = sum(not right for _, right in results)
    print(f"==> {len(results) - wrong} of {len(results)} are right")
    return 1 if wrong else 0


def main(prog: str, run: Callable[[int, Path, bool], Coroutine[Any, Any, int]], data: Path) -> None:
    """Run a demonstration until it is called off, or once in a folder that goes afterwards."""
    parser = argparse.ArgumentParser(prog=prog)
    parser.add_argument("--check", action="store_true", help="once; fail unless all is right")
    parser.add_argument("--port", type=int, help="of the server [8765; any free one to check]")
    given = parser.parse_args()
    port = given.port if given.port is not None else (0 if given.check else 8765)
    if not given.check:
        sys.exit(asyncio.run(until_called_off(run(port, data, False))))
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(asyncio.run(until_called_off(run(port, Path(folder), True))))


if __name__ == "__main__":
    main("scripts/demo", run, DATA)
