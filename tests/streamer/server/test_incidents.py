"""Incidents of live streams: on monitors, over MQTT's hub, and for desks that act on them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from recorded import T0, started
from server_requests import bearer, token
from sqlalchemy import update

from engine import events
from streamer.config import Config
from streamer.records.entries import AnyEntry, Ended, Told, Waited
from streamer.records.incidents.tracker import incidents_of
from streamer.records.rules import IncidentRules
from streamer.records.tables import streams
from streamer.records.texts import ERASED
from streamer.server.server import Server
from streamer.server.stream_incidents import EndedStreams


def turn(t: float, state: events.State) -> events.Utterance:
    return events.Utterance(
        t=t + 0.6,
        start=t - 2.0,
        end=t,
        speech_s=2.0,
        state=state,
        speaker="anna",
        llr=-7.0,
        evidence=-7.0,
        reject_llr=-3.0,
        voice="voice-2",
        reason="below",
    )


@pytest.fixture
async def guarded(settings: Callable[..., Config], enrol: Any) -> AsyncIterator[Server]:
    """Somebody is enrolled, with whom voices are compared."""
    tokens = (
        token("desk", "monitor"),
        token("other desk", "monitor"),
        token("strange", "monitor", scores=False),
        token("client", "stream"),
    )
    rules = IncidentRules(silent_s=1.0)
    async with Server(settings(tokens=tokens, incidents=rules), drain_s=1.0) as server:
        enrol(server, "anna")
        yield server


async def the_stream(server: Server) -> Any:
    """The only one that there is."""
    async with asyncio.timeout(20):
        while not server.streams.all():
            await asyncio.sleep(0.01)
    return server.streams.all()[0]


async def recorded(server: Server, stream: str) -> None:
    """The start of a stream is on the disk."""
    book = server.context.book
    assert book is not None
    async with asyncio.timeout(20):
        while stream not in [one.stream for one in await asyncio.to_thread(book.streams)]:
            await asyncio.sleep(0.02)


async def ended_record(server: Server, stream: str) -> list[AnyEntry]:
    """What is on the disk of a stream, with its end."""
    await recorded(server, stream)
    book, entries = server.context.book, list[AnyEntry]()
    assert book is not None
    async with asyncio.timeout(20):
        while not entries or not isinstance(entries[-1], Ended):
            entries = await asyncio.to_thread(book.history, stream)
            await asyncio.sleep(0.02)
    return entries


async def test_an_incident_and_what_is_done_about_it_reach_every_desk(
    guarded: Server, dial: Any
) -> None:
    async with (
        dial(guarded, "/v1/monitor", headers=bearer("desk")) as monitor,
        dial(guarded, "/v1/monitor", headers=bearer("strange")) as strange,
        dial(guarded, "/v1/control", headers=bearer("other desk")) as desk,
        dial(guarded, headers=bearer("client"), label="seat"),
    ):
        stream = await the_stream(guarded)
        stream.tell(turn(5.0, "mismatch"))
        incident = await monitor.until("incident")
        assert (incident["kind"], incident["stream"]) == ("other-voice", stream.id)
        assert "(evidence -7.0" in incident["reason"]
        hidden = await strange.until("incident")
        assert hidden["evidence"] is None
        assert "evidence" not in hidden["reason"]
        assert hidden["reason"].startswith("somebody else spoke once")

        await recorded(guarded, stream.id)
        await desk.ask(
            type="act", stream=stream.id, act="acknowledge", incident=incident["id"], text="seen"
        )
        act, again = await monitor.until("act"), await monitor.until("incident")
        assert (act["act"], act["incident"], act["text"]) == ("acknowledge", incident["id"], "seen")
        while again["id"] != incident["id"]:  # silence may be told meanwhile
            again = await monitor.until("incident")
        assert again["acknowledged_by"].startswith("token other desk")
        assert again["acknowledged_at"] == act["at"]
        (row,) = await desk.ask(type="incidents")
        assert (row["label"], row["stream"]) == ("seat", stream.id)
        assert row["acknowledged_at"] == act["at"]
        assert "seq" not in row


async def test_silence_is_told_though_nobody_says_anything(guarded: Server, dial: Any) -> None:
    async with (
        dial(guarded, "/v1/monitor", headers=bearer("desk")) as monitor,
        dial(guarded, headers=bearer("client"), live="true"),
    ):
        incident = await monitor.until("incident")
    assert incident["kind"] == "silent"


async def test_what_was_told_of_nothing_is_in_the_record_of_a_server_that_is_killed(
    guarded: Server, dial: Any
) -> None:
    book = guarded.context.book
    assert book is not None
    async with (
        dial(guarded, "/v1/monitor", headers=bearer("desk")) as monitor,
        dial(guarded, headers=bearer("client"), live="true"),
    ):
        incident, stream = await monitor.until("incident"), await the_stream(guarded)
        async with asyncio.timeout(20):  # until what was told is written; the stream goes on
            while not isinstance((await asyncio.to_thread(book.history, stream.id))[-1], Waited):
                await asyncio.sleep(0.02)
        (kept,) = await asyncio.to_thread(book.incidents, stream.id)
    assert (kept.kind, kept.id, kept.until) == ("silent", incident["id"], None)


async def test_sound_that_waits_is_no_silence(
    settings: Callable[..., Config], dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether somebody speaks in it is not known as long as the server is late."""
    rules = IncidentRules(silent_s=10.0)
    async with (
        Server(settings(incidents=rules), drain_s=1.0) as server,
        dial(server, live="true") as client,
    ):
        stream = await the_stream(server)
        await client.sound(bytes(32_000))
        waits = {"backlog_s": 20.0, "unread": 0}
        conversation = type(stream.session)
        monkeypatch.setattr(conversation, "backlog_s", property(lambda _: waits["backlog_s"]))
        monkeypatch.setattr(stream.intake, "_unread_bytes", lambda: waits["unread"])

        def told(later_s: float) -> list[str]:
            stream.record.pass_time(time.time() + later_s)
            return [one.kind for one in stream.record.incidents]

        assert told(25.0) == []
        waits |= {"backlog_s": 2.0, "unread": 18 * 32_000}
        assert told(25.0) == []
        stream.tell(events.Lag(t=30.0, reason="overload", behind_s=20.0, hop_s=0.5, dropped=0))
        assert told(25.0) == []
        waits["unread"] = 0
        assert told(25.0) == ["silent"]


async def test_no_sound_at_all_is_told_as_silence_where_speech_is_expected(
    settings: Callable[..., Config], dial: Any
) -> None:
    rules = IncidentRules(silent_s=4.0)
    async with (
        Server(settings(incidents=rules, stall_s=1.0), drain_s=1.0) as server,
        dial(server, "/v1/monitor") as monitor,
        dial(server, live="true") as client,
    ):
        incident = await monitor.until("incident")
        stream = (await the_stream(server)).id
        await client.say(type="finalize")
        await client.rest()
        kept = await ended_record(server, stream)
    assert incident["kind"] == "silent"
    assert incident["reason"].startswith("no sound has come since 0:00")
    told = [entry.event for entry in kept if isinstance(entry, Told)]
    (stalled,) = [event for event in told if isinstance(event, events.Stalled)]
    assert (stalled.stalled, stalled.t) == (True, 0.0)
    (found,) = incidents_of(kept)  # the record says the same afterwards
    assert found.reason == incident["reason"]


async def test_a_candidate_is_told_of_no_incident(guarded: Server, dial: Any) -> None:
    async with dial(guarded, headers=bearer("client"), live="true") as client:
        stream = await the_stream(guarded)
        stream.tell(turn(5.0, "mismatch"))
        await client.say(type="finalize")
        await client.rest()
    assert client.of("utterance")
    assert not client.of("incident")


async def test_what_is_over_is_known_from_memory_and_from_the_record(
    guarded: Server, dial: Any
) -> None:
    async with (
        dial(guarded, "/v1/monitor", headers=bearer("desk")) as monitor,
        dial(guarded, "/v1/control", headers=bearer("desk")) as desk,
    ):
        async with dial(guarded, headers=bearer("client"), live="true") as client:
            stream = await the_stream(guarded)
            stream.tell(turn(5.0, "mismatch"))
            await client.say(type="finalize")
            await client.rest()
        await monitor.until("closed")
        assert await desk.ask(type="incidents") == []
        await recorded(guarded, stream.id)
        from_memory = await desk.ask(type="incidents", stream=stream.id)
        guarded.streams.ended = EndedStreams()  # as after a restart
        async with asyncio.timeout(20):
            while (found := await desk.ask(type="incidents", stream=stream.id)) != from_memory:
                await asyncio.sleep(0.05)  # the last entries are on their way
        assert [one["kind"] for one in found] == ["other-voice"]
        await desk.ask(type="act", stream=stream.id, act="acknowledge", incident=found[0]["id"])
        assert (await monitor.until("act"))["stream"] == stream.id
        assert (await monitor.until("incident"))["acknowledged_at"]


async def test_a_label_that_was_erased_is_told_no_more(guarded: Server, dial: Any) -> None:
    book = guarded.context.book
    assert book is not None
    async with dial(guarded, "/v1/control", headers=bearer("desk")) as desk:
        start = {"live": "true", "label": "Anna's phone"}
        async with dial(guarded, headers=bearer("client"), **start) as client:
            stream = await the_stream(guarded)
            stream.tell(turn(5.0, "mismatch"))
            await client.say(type="finalize")
            await client.rest()
        await recorded(guarded, stream.id)
        (told,) = await desk.ask(type="incidents", stream=stream.id)
        assert told["label"] == "Anna's phone"
        with book.journal.writing() as connection:
            connection.execute(update(streams).values(text_key=None))
        (told,) = await desk.ask(type="incidents", stream=stream.id)
        assert told["label"] == ERASED


async def test_the_incidents_of_an_exam(server: Server, dial: Any) -> None:
    entries: list[AnyEntry] = [
        started("one", exam="e-1", candidate="ca" * 16, label=""),
        Told(at=T0 + 6, t=6.0, event=turn(5.0, "mismatch")),
        Ended(at=T0 + 8, t=8.0, code=1000, why=""),
    ]
    assert server.context.book is not None
    await asyncio.to_thread(server.context.book.journal.write, {"one": entries})
    async with dial(server, "/v1/control") as desk:
        (row,) = await desk.ask(type="incidents", exam="e-1")
        assert (row["id"], row["exam"], row["candidate"]) == ("one/1", "e-1", "ca" * 16)
        assert await desk.ask(type="incidents", exam="e-2") == []


async def test_an_incident_that_is_not_there_is_not_acknowledged(server: Server, dial: Any) -> None:
    assert server.context.book is not None
    await asyncio.to_thread(server.context.book.journal.write, {"one": [started("one")]})
    async with dial(server, "/v1/control") as desk:
        refused = await desk.ask(type="act", stream="one", act="acknowledge", incident="one/7")
    assert refused["code"] == "bad-parameter"


async def test_what_was_told_live_is_what_the_record_says(guarded: Server, dial: Any) -> None:
    async with dial(guarded, headers=bearer("client"), live="true") as client:
        stream = await the_stream(guarded)
        for t, state in ((5.0, "mismatch"), (9.0, "match"), (14.0, "mismatch")):
            stream.tell(turn(t, state))
        await client.say(type="finalize")
        await client.rest()
    live = stream.record.incidents
    book = guarded.context.book
    assert book is not None
    assert live
    await recorded(guarded, stream.id)
    deadline = time.monotonic() + 20
    while await asyncio.to_thread(book.incidents, stream.id) != live:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
