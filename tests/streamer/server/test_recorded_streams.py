"""What a real server keeps of its streams, whether or not anybody watches."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from server_record import WAIT_S, history

from engine.errors import VoxwatchError
from streamer.config import Config
from streamer.records.entries import (
    AnyEntry,
    Claimed,
    Connection,
    Ended,
    Scores,
    Started,
    Told,
)
from streamer.records.errors import RecordError
from streamer.records.opening import RECORDS_FILE, open_book
from streamer.records.writer import Writer
from streamer.server.metrics import Metrics
from streamer.server.server import Server
from streamer.store.keys import load_key
from streamer.wire.errors import WireError

KEPT = {"decision", "change", "utterance", "quality", "stalled", "error"}


def told(entries: list[AnyEntry], kind: str) -> list[Any]:
    events = [entry.event for entry in entries if isinstance(entry, Told)]
    return [event for event in events if event.__struct_config__.tag == kind]


async def test_all_that_was_told_is_in_the_record_though_nobody_watched(
    server: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(server, "anna")
    async with dial(server, claim="anna", label="desk 7") as client:
        ready = await client.hear()
        await client.sound(pcm("anna", 6.0) + pcm("bert", 6.0))
        await client.say(type="finalize")
        assert await client.rest() == 1000
    entries = await history(server, ready["stream"])
    for kind in KEPT:
        heard = [(m["t"], m.get("state"), m.get("speaker")) for m in client.of(kind)]
        kept = [
            (e.t, getattr(e, "state", None), getattr(e, "speaker", None))
            for e in told(entries, kind)
        ]
        assert kept == heard, kind
    assert told(entries, "decision")
    assert told(entries, "change")
    first, last = entries[0], entries[-1]
    assert isinstance(first, Started)
    assert isinstance(last, Ended)
    assert (first.label, first.claims, first.live) == ("desk 7", ("anna",), True)
    assert first.model.sha256 == server.context.model.sha256
    assert first.voiceprints[0].speech_s == 8.0
    assert (last.code, last.summary and last.summary.received_s) == (1000, 12.0)
    seconds = [int(entry.t) for entry in entries if isinstance(entry, Scores)]
    assert len(set(seconds)) == len(seconds) > 5


async def test_nothing_in_the_files_names_anybody(
    server: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(server, "anna")
    async with dial(server, claim="", label="anna's laptop") as client:
        ready = await client.hear()
        await client.sound(pcm("anna", 6.0))
        await client.say(type="finalize")
        await client.rest()
    assert told(await history(server, ready["stream"]), "decision")[-1].speaker == "anna"
    folder = server.context.config.data_dir
    files = b"".join(file.read_bytes() for file in sorted(folder.glob(f"{RECORDS_FILE}*")))
    assert ready["stream"].encode() in files
    assert b"anna" not in files


async def test_a_client_that_is_lost_and_comes_back_is_in_the_record(
    server: Server, dial: Any, pcm: Any
) -> None:
    async with dial(server, claim="") as client:
        ready = await client.hear()
        await client.sound(pcm("anna", 3.0))
        await client.until("vad")
        client.connection.transport.abort()
    async with dial(server, session=ready["session"], resume_from=1) as client:
        await client.say(type="close")
        await client.rest()
    entries = await history(server, ready["stream"])
    assert [e.state for e in entries if isinstance(e, Connection)] == ["dropped", "resumed"]


async def test_another_claim_is_in_the_record_from_where_it_holds(
    server: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(server, "anna")
    enrol(server, "bert")
    async with dial(server, claim="anna") as client:
        ready = await client.hear()
        await client.sound(pcm("anna", 3.0))
        await client.say(type="configure", claim="bert", false_accept=0.001)
        await client.until("configured")
        await client.say(type="close")
        await client.rest()
    entries = await history(server, ready["stream"])
    (claimed,) = (entry for entry in entries if isinstance(entry, Claimed))
    assert claimed.claims == ("bert",)
    assert claimed.bounds.false_accept == 0.001
    assert claimed.t == 3.0


async def test_what_ended_a_stream_is_in_the_record(server: Server, dial: Any) -> None:
    async with dial(server, claim="") as client:
        ready = await client.hear()
        await client.connection.send("no JSON")
        assert await client.rest() == 1008
    entries = await history(server, ready["stream"])
    assert told(entries, "error")[-1].code == "bad-message"
    last = entries[-1]
    assert isinstance(last, Ended)
    assert (last.code, last.why) == (1008, "bad-message")
    assert last.summary is not None


@pytest.mark.parametrize("all_said", [False, True])
async def test_a_stream_to_which_nobody_comes_back_was_lost_and_has_a_summary(
    settings: Callable[..., Config], dial: Any, pcm: Any, all_said: bool
) -> None:
    """Also where all was said and judged, and nobody was there to hear it."""
    async with Server(settings(limits={"resume_s": 0.2})) as server:
        async with dial(server, claim="") as client:
            ready = await client.hear()
            await client.sound(pcm("anna", 3.0))
            await client.until("vad")
            if all_said:
                client.connection.transport.pause_reading()
                await client.say(type="finalize")
                (stream,) = server.streams.all()
                await stream.told.wait()
                assert not stream.record.ended
            client.connection.transport.abort()
        last = (await history(server, ready["stream"]))[-1]
    assert isinstance(last, Ended)
    assert last.code == 1006
    assert last.summary is not None
    assert last.summary.received_s == pytest.approx(3.0)


async def test_nothing_comes_after_the_end_of_a_stream_that_failed(
    server: Server, dial: Any, enrol: Any
) -> None:
    """Such a one waits for its client to fetch the last words, and the store may change then."""
    enrol(server, "anna")
    async with dial(server, claim="anna") as client:
        ready = await client.hear()
        (stream,) = server.streams.all()
        stream.fail(WireError("engine-failed", "the engine failed"))
        enrol(server, "bert")
        await server.streams.renew()
        stream.record.claim()
        stream.record.dropped("closed with 1006")
        stream.record.resumed()
        assert await client.rest() == 1011
    assert isinstance((await history(server, ready["stream"]))[-1], Ended)


async def test_a_server_that_stops_has_written_all(
    settings: Callable[..., Config], dial: Any, pcm: Any
) -> None:
    async with Server(settings(), drain_s=1.0) as server, dial(server, claim="") as client:
        ready = await client.hear()
        await client.sound(pcm("anna", 2.0))
        await client.until("vad")
        writer = server.context.writer
        assert writer is not None
        await server._drain()
        await client.rest()
    assert writer.figures().waiting == writer.figures().lost == 0
    folder = server.context.config.data_dir
    book = await asyncio.to_thread(open_book, None, folder, load_key(folder, env={}))
    entries = await asyncio.to_thread(book.history, ready["stream"])
    book.close()
    assert isinstance(entries[-1], Ended)
    assert entries[-1].code == 1001


async def test_where_no_records_are_wanted_there_are_none(
    settings: Callable[..., Config], dial: Any, pcm: Any
) -> None:
    config = settings(records=False)
    async with Server(config, drain_s=1.0) as server, dial(server, claim="") as client:
        await client.sound(pcm("anna", 2.0))
        await client.say(type="finalize")
        assert await client.rest() == 1000
    database = sqlite3.connect(config.data_dir / RECORDS_FILE)  # in which exams lie, too
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema")]
    database.close()
    assert tables
    assert not [name for name in tables if name.startswith("record_")]


async def test_streams_decide_on_time_while_the_disk_holds_the_record(
    server: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    """Another program keeps the database locked from before the stream until after it."""
    enrol(server, "anna")
    async with dial(server, claim="") as client:  # the tables are there, and the first record
        ready = await client.hear()
        await client.say(type="close")
        await client.rest()
    await history(server, ready["stream"])
    lock = sqlite3.connect(server.context.config.data_dir / RECORDS_FILE, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    async with dial(server, claim="anna") as client:
        ready = await client.hear()
        await client.sound(pcm("anna", 6.0))
        await client.say(type="finalize")
        assert await client.rest() == 1000
    assert [m["state"] for m in client.of("decision")][-1:] == ["match"]
    writer = server.context.writer
    assert writer is not None
    assert writer.figures().waiting > 10
    lock.execute("ROLLBACK")
    lock.close()
    entries = await history(server, ready["stream"])
    assert len(told(entries, "decision")) == len(client.of("decision"))


async def test_a_stream_is_told_when_its_record_has_a_gap(
    server: Server, dial: Any, enrol: Any, pcm: Any
) -> None:
    enrol(server, "anna")

    def full(_: object) -> None:
        raise RecordError("the disk is full")

    server.context.writer = Writer(full, limit=1)
    async with dial(server, claim="anna") as client:
        await client.sound(pcm("anna", 6.0))
        await client.say(type="finalize")
        assert await client.rest() == 1000
    server.context.writer.close(WAIT_S)
    assert [m["code"] for m in client.of("error")] == ["not-recorded"]
    assert [m["state"] for m in client.of("decision")][-1:] == ["match"]


async def test_a_record_of_another_key_is_said_before_the_server_serves(
    settings: Callable[..., Config], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings()
    async with Server(config):
        pass
    for name in os.listdir(config.data_dir):
        if not name.startswith(RECORDS_FILE):
            (config.data_dir / name).unlink()
    with pytest.raises(VoxwatchError, match="another key"):
        async with Server(config):
            pass


async def test_status_and_metrics_say_how_the_record_fares(
    server: Server, dial: Any, pcm: Any
) -> None:
    async with dial(server, claim="") as client:
        ready = await client.hear()
        await client.sound(pcm("anna", 2.0))
        await client.say(type="finalize")
        await client.rest()
    written = len(await history(server, ready["stream"]))
    async with dial(server, "/v1/control") as desk:
        status = await desk.ask(type="status")
    told = {"written": written, "lost": 0, "waiting": 0, "failing": 0, "days": 30.0}
    assert status["record"].pop("cpu_s") > 0
    assert status["record"] == told
    metrics = (await Metrics(server.context, server.streams).text()).decode()
    assert f"voxwatch_record_entries_total {float(written)}" in metrics
    assert "voxwatch_record_failing 0.0" in metrics
