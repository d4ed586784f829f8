"""What the record loses where the disk is full and where the server is killed, and says so."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from enrolled_people import Disk
from websockets.asyncio.client import connect

from engine.model.bundle import Bundle
from streamer.config import Config
from streamer.records.book import Book
from streamer.records.entries import AnyEntry, Ended, Missing, Told
from streamer.records.errors import RecordError
from streamer.records.opening import open_book
from streamer.records.writer import Writer
from streamer.server.server import Server
from streamer.store.keys import load_key

WAIT_S = 60.0
PIECE = 6400  # bytes in a message: 0.2 s


@pytest.fixture
async def on_disk(settings: Callable[..., Config], disk: Disk) -> AsyncIterator[Server]:
    """A server whose data folder is a file system of its own, with little room for entries."""
    config = settings()
    config.data_dir.symlink_to(disk.folder, target_is_directory=True)
    async with Server(config, drain_s=1.0) as running:
        book = running.context.book
        assert book is not None
        writer = running.context.writer = Writer(book.journal.write, limit=30)
        yield running
        await asyncio.to_thread(writer.close, WAIT_S)


# A busy machine makes the server tell of lags, too, of which the record keeps one an outage.
KEPT = ("decision", "change", "utterance", "quality", "stalled", "error", "overlap")


def told(entries: list[AnyEntry]) -> list[tuple[str, float]]:
    events = [entry.event for entry in entries if isinstance(entry, Told)]
    found = [(str(event.__struct_config__.tag), event.t) for event in events]
    return [(kind, t) for kind, t in found if kind in KEPT]


def heard(messages: list[dict[str, Any]]) -> list[tuple[str, float]]:
    return [(m["type"], m["t"]) for m in messages if m["type"] in KEPT]


async def test_a_full_disk_delays_no_decision_and_the_record_marks_its_gap(
    on_disk: Server, dial: Any, enrol: Any, pcm: Any, disk: Disk
) -> None:
    enrol(on_disk, "anna")
    writer, book = on_disk.context.writer, on_disk.context.book
    assert writer is not None
    assert book is not None
    async with dial(on_disk, claim="anna") as client:
        ready = await client.hear()
        await client.sound(pcm("anna", 6.0))
        await client.until("decision", state="match")
        disk.fill()
        while not writer.figures().lost:  # it goes on for as long as there is room in memory
            await client.sound(pcm("anna", 4.0, seed=2))
            await client.until("score")
        assert "the disk is full" in writer.figures().trouble
        (disk.folder / "filler").unlink()
        async with asyncio.timeout(WAIT_S):
            while writer.figures().waiting or writer.figures().trouble:
                await asyncio.sleep(0.05)
        await client.sound(pcm("bert", 5.0))
        await client.say(type="finalize")
        assert await client.rest() == 1000
    async with asyncio.timeout(WAIT_S):
        while not isinstance(book.history(ready["stream"])[-1], Ended):
            await asyncio.sleep(0.05)
    entries = book.history(ready["stream"])
    gaps = [entry for entry in entries if isinstance(entry, Missing)]
    assert sum(gap.count for gap in gaps) == writer.figures().lost
    assert any("the disk is full" in gap.why for gap in gaps)
    assert ("error", "not-recorded") in {(m["type"], m.get("code")) for m in client.seen}
    assert ("change", client.of("change")[-1]["t"]) in told(entries)  # of after the outage
    assert book.verify().findings == ()


class Served:
    """`voxwatch serve` with two workers, and its processes."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        env = {k: v for k, v in os.environ.items() if not k.startswith("VOXWATCH_")}
        env |= {
            "VOXWATCH_DATA_DIR": str(folder),
            "VOXWATCH_BUNDLE": str(bundle),
            "VOXWATCH_PORT": "0",
            "VOXWATCH_PROVIDER": "cpu",
            "VOXWATCH_THREADS": "2",
            "PYTHONUNBUFFERED": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamer.cli", "serve", "--workers", "2"],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split(" ")[0]

    def kill(self) -> None:
        """SIGKILL to all of its processes at once, as a power cut to them."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=WAIT_S)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def served(tmp_path: Path, spectral_bundle: Bundle) -> Iterator[Served]:
    server = Served(tmp_path / "data", spectral_bundle.folder)
    yield server
    server.kill()


async def speak(url: str, sound: bytes, told: list[dict[str, Any]]) -> None:
    """A client that sends in real time until the server is gone, and notes what it is told."""
    address = url.replace("http", "ws", 1) + "/v1/stream?claim="
    with contextlib.suppress(Exception):
        async with connect(address, compression=None) as client:
            told.append(json.loads(await client.recv()))

            async def listen() -> None:
                async for text in client:
                    told.append(json.loads(text))

            listening = asyncio.create_task(listen())
            for start in range(0, len(sound), PIECE):
                await client.send(sound[start : start + PIECE])
                await asyncio.sleep(0.2)
            await listening


def opened(folder: Path) -> Book:
    return open_book(None, folder, load_key(folder, env={}))


async def written(book: Book, stream: str, events: list[tuple[str, float]]) -> None:
    """Until all of these events are in the record, while the stream goes on."""
    async with asyncio.timeout(WAIT_S):
        while True:
            with contextlib.suppress(RecordError):
                if told(book.history(stream))[: len(events)] == events:
                    return
            await asyncio.sleep(0.02)


async def test_a_server_that_is_killed_keeps_what_it_had_written_and_goes_on(
    served: Served, tmp_path: Path, pcm: Any
) -> None:
    folder = tmp_path / "data"
    seen: list[list[dict[str, Any]]] = [[] for _ in range(4)]
    sounds = [pcm("anna", 30.0, seed=n) for n in range(4)]
    speaking = [
        asyncio.create_task(speak(served.url, sound, told))
        for sound, told in zip(sounds, seen, strict=True)
    ]
    async with asyncio.timeout(WAIT_S):
        while not all(len(heard(messages)) >= 2 for messages in seen):
            await asyncio.sleep(0.05)
    before = [heard(messages) for messages in seen]
    book = opened(folder)
    for messages, events in zip(seen, before, strict=True):
        await written(book, messages[0]["stream"], events)
    book.close()
    served.kill()
    await asyncio.gather(*speaking)
    book = opened(folder)
    assert book.verify().findings == ()
    for messages, events in zip(seen, before, strict=True):
        kept = told(book.history(messages[0]["stream"]))
        assert kept[: len(events)] == events  # what was on the disk still is
        both = min(len(kept), len(heard(messages)))
        assert kept[:both] == heard(messages)[:both]  # and nothing is there twice, or lacks between
    book.close()
