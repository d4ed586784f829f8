"""What does the record cost, and what does it lose? `python scripts/bench_records.py`.

Candidates send the demonstration's call over and over through real sockets, so many times as fast
as real time as the cores carry; some of them lose their connection and come back. Then every event
that a client was told is looked for in the record. What they were told is then recorded at the
wanted speed without the streams, and at last the server is killed under load: how old was what the
record lacks? CPU is that of the server's process, of which the record's thread tells its own; what
the record costs the event loop is timed by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from engine import events
from engine.audio.files import read_audio
from engine.model.bundle import load_bundle
from scripts.figures import tell
from streamer.bench.engine import machine
from streamer.bench.processes import Served, server
from streamer.bench.sound import s16le
from streamer.records.book import Book
from streamer.records.entries import RecordedEvent, Started, Told
from streamer.records.errors import UnknownStream
from streamer.records.opening import RECORDS_FILE, open_book
from streamer.records.recorder import Recorder
from streamer.records.references import References
from streamer.records.writer import Writer
from streamer.store.keys import load_key
from streamer.wire.messages import Bounds, Model

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


def recorded(book: Book, stream: str) -> list[tuple[Any, ...]]:
    """The marks of all events in a stream's record."""
    try:
        entries = book.history(stream)
    except UnknownStream:
        return []
    told = [entry.event for entry in entries if isinstance(entry, Told)]
    return [(str(e.__struct_config__.tag), e.t, getattr(e, "state", None)) for e in told]


def lacking(book: Book, one: Candidate) -> list[tuple[float, tuple[Any, ...]]]:
    """What a candidate was told that is not in the record, with the time of telling."""
    there = recorded(book, one.stream)
    left = list(there)
    missing = []
    for at, mark in one.kept():
        if mark in left:
            left.remove(mark)
        else:
            missing.append((at, mark))
    return missing


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


def whole(folder: Path, people: Sequence[Candidate], options: argparse.Namespace) -> dict[str, Any]:
    """What the record cost, and whether it has all that was told."""
    with server(folder, None, "cpu", batching=True) as served:
        before = served.figures()
        began = time.monotonic()
        failed = asyncio.run(load(served, people, options, options.most_s))
        took_s = time.monotonic() - began
        while served.figures()["voxwatch_record_waiting"]:
            time.sleep(0.1)
        after = served.figures()
    spent = {name: after[name] - before[name] for name in before}
    book = open_book(None, folder, load_key(folder, env={}))
    gone = [missing for one in people for missing in lacking(book, one)]
    verified = book.verify()
    book.close()  # which brings the log into the file
    size = sum(file.stat().st_size for file in folder.glob(f"{RECORDS_FILE}*"))
    sound_s = sum(one.sent_s for one in people)
    decisions = sum(m["type"] == "decision" for one in people for _, m in one.told)
    live_s = on_the_loop(people)
    record_s = spent["voxwatch_record_cpu_seconds_total"] + live_s
    return {
        "streams": options.streams,
        "of_these_failed": failed,
        "sound_s_each": round(sound_s / options.streams, 1),
        "wall_s": round(took_s, 1),
        "times_real_time_each": round(sound_s / options.streams / took_s, 2),
        "broken_connections": options.broken,
        "events_told": sum(len(one.kept()) for one in people),
        "decisions_told": decisions,
        "events_not_in_the_record": len(gone),
        "entries": int(spent["voxwatch_record_entries_total"]),
        "entries_lost": int(spent["voxwatch_record_entries_lost_total"]),
        "findings_of_verify": len(verified.findings),
        "server_cpu_ms_a_stream_second": round(1000 * spent["cpu_s"] / sound_s, 3),
        "record_cpu_ms_a_stream_second": round(1000 * record_s / sound_s, 3),
        "record_on_the_loop_ms_a_stream_second": round(1000 * live_s / sound_s, 3),
        "record_share_of_cpu": round(record_s / spent["cpu_s"], 4),
        "mb_an_hour_and_candidate": round(size / 1e6 / (sound_s / 3600), 3),
    }


def on_the_loop(people: Sequence[Candidate]) -> float:
    """CPU seconds of turning all that was told into entries, as the live path does."""
    said = [event for one in people for event in heard(one)]
    recorder = Recorder(References({"Anna": "a1" * 16}))
    began = time.thread_time()
    for event in said:
        recorder.receive(event, 0.0)
    return time.thread_time() - began


def heard(one: Candidate) -> list[events.Event]:
    """What a candidate was told, as events."""
    decoder, said = msgspec.json.Decoder(events.AnyEvent), []
    for _, message in one.told:
        with contextlib.suppress(msgspec.ValidationError):  # `configured` is no event
            bare = {name: value for name, value in message.items() if name != "at_time"}
            said.append(decoder.decode(msgspec.json.encode(bare)))
    return said


def replayed(folder: Path, people: Sequence[Candidate], options: argparse.Namespace) -> Any:
    """The record alone: what candidates were told, over and over, for all of the sound at speed.

    This is what the record has to keep up with where the cores carry the streams themselves.
    """
    said = sorted((heard(one) for one in people), key=len)[-1]
    said = [event for event in said if not isinstance(event, events.Summary)]
    span_s = math.ceil(max(event.t for event in said))
    by_second: dict[int, list[events.Event]] = {}
    for event in said:
        by_second.setdefault(int(event.t) % span_s, []).append(event)
    streams = [secrets.token_hex(8) for _ in range(options.streams)]
    book = open_book(None, folder, secrets.token_bytes(32))
    writer = Writer(book.journal.write)
    recorders = {name: Recorder(References({"Anna": "a1" * 16})) for name in streams}
    for name in streams:
        writer.put(name, _started(name))
    began, cpu, late_s = time.monotonic(), time.process_time(), 0.0
    for second in range(round(options.seconds)):
        for name in streams:
            for event in by_second.get(second % span_s, ()):
                moved = msgspec.structs.replace(event, t=second + event.t % 1)
                if (entry := recorders[name].receive(moved, time.time())) is not None:
                    writer.put(name, entry)
        left_s = began + (second + 1) / options.speed - time.monotonic()
        late_s = max(late_s, -left_s)
        time.sleep(max(0.0, left_s))
    for name in streams:
        writer.put(name, recorders[name].end(1000, "", time.time()))
    writer.close(600.0)
    spent_s, took_s = time.process_time() - cpu, time.monotonic() - began
    figures, verified = writer.figures(), book.verify()
    book.close()
    size = sum(file.stat().st_size for file in folder.glob(f"{RECORDS_FILE}*"))
    sound_s = options.streams * options.seconds
    return {
        "streams": options.streams,
        "sound_s_each": options.seconds,
        "wall_s": round(took_s, 1),
        "times_real_time_each": round(options.seconds / took_s, 2),
        "feeding_late_by_s": round(late_s, 2),
        "entries": figures.written,
        "entries_lost": figures.lost,
        "findings_of_verify": len(verified.findings),
        "cpu_ms_a_stream_second": round(1000 * spent_s / sound_s, 3),
        "mb_an_hour_and_candidate": round(size / 1e6 / (sound_s / 3600), 3),
    }


def _started(stream: str) -> Started:
    nobody = Bounds(false_accept=0.01, miss=0.05, accept_llr=4.6, reject_llr=-3.0)
    return Started(
        at=time.time(),
        t=0.0,
        stream=stream,
        mode="changes",
        claims=(),
        voiceprints=(),
        compared=0,
        bounds=nobody,
        expected_rates=(),
        server="benchmark",
        model=Model(name="benchmark", version="", sha256="", provider="cpu"),
        false_alarms_per_hour=1.0,
        live=True,
    )


def killed(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The server is killed under load: what it had told and not written, and how old that was."""
    people = candidates(options.kill_streams, 0)
    at: list[float] = []

    async def run(served: Served) -> None:
        running = asyncio.create_task(load(served, people, options, options.kill_after_s + 5))
        await asyncio.sleep(options.kill_after_s)
        at.append(time.time())
        os.kill(served.process.pid, signal.SIGKILL)
        await running

    with contextlib.suppress(ConnectionError), server(folder, None, "cpu", batching=True) as served:
        asyncio.run(run(served))
    book = open_book(None, folder, load_key(folder, env={}))
    gone = [missing for one in people for missing in lacking(book, one)]
    findings = len(book.verify().findings)
    book.close()
    ages = [at[0] - told_at for told_at, _ in gone]
    return {
        "events_told": sum(len(one.kept()) for one in people),
        "events_not_in_the_record": len(gone),
        "oldest_of_these_ms": round(1000 * max(ages, default=0.0), 1),
        "findings_of_verify": findings,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--broken", type=int, default=10, help="that lose their connection once")
    parser.add_argument("--seconds", type=float, default=600.0, help="of sound each")
    parser.add_argument("--speed", type=float, default=20.0, help="times real time, at most")
    parser.add_argument("--most-s", type=float, default=3600.0, help="end the sound after so long")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--kill-streams", type=int, default=12, help="when it is killed")
    parser.add_argument("--kill-after-s", type=float, default=15.0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        **machine(load_bundle(None), "cpu"),
    }
    with tempfile.TemporaryDirectory() as name:
        enrol(Path(name))
        people = candidates(options.streams, options.broken)
        if people:
            found["whole"] = whole(Path(name), people, options)
    with tempfile.TemporaryDirectory() as name:
        if people:
            found["record_alone"] = replayed(Path(name), people, options)
    kills = []
    for _ in range(options.kills):
        with tempfile.TemporaryDirectory() as name:
            enrol(Path(name))
            kills.append(killed(Path(name), options))
    found["killed"] = kills
    tell(found, options.output)


if __name__ == "__main__":
    main()
