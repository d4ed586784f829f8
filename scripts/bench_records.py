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
import math
import os
import secrets
import signal
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from engine import events
from engine.model.bundle import load_bundle
from scripts.bench_candidates import Candidate, candidates, enrol, heard, load
from scripts.figures import tell
from streamer.bench.engine import machine
from streamer.bench.processes import Served, server
from streamer.records.book import Book
from streamer.records.entries import Started, Told
from streamer.records.errors import UnknownStream
from streamer.records.opening import RECORDS_FILE, open_book
from streamer.records.recorder import Recorder
from streamer.records.references import References
from streamer.records.writer import Writer
from streamer.store.keys import load_key
from streamer.wire.messages import Bounds, Model


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
    recorder = Recorder(References({"Anna": "a1" * 16}), "Anna")
    began = time.thread_time()
    for event in said:
        recorder.receive(event, 0.0)
    return time.thread_time() - began


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
    recorders = {name: Recorder(References({"Anna": "a1" * 16}), "Anna") for name in streams}
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
