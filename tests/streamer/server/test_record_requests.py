"""What control connections ask of the record, and who may."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from recorded import T0, other_voice, whole
from sqlalchemy import update

from streamer.config import Config
from streamer.database import writing
from streamer.exams.exam import Entry, Rules
from streamer.records import tables
from streamer.records.entries import Acted
from streamer.records.errors import UnknownStream
from streamer.server import record_upkeep
from streamer.server.auth import Token
from streamer.server.disuse import purge
from streamer.server.record_requests import PAGE
from streamer.server.server import Server
from streamer.wire.requests import Role


def token(name: str, *roles: Role, scores: bool = True) -> Token:
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return Token(name=name, roles=roles, sha256=sha256, scores=scores)


def showing(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}"}


async def nobody_was_deleted(_: Any) -> None:
    """In place of the first look at who was: nobody of these records is enrolled here."""


@pytest.fixture
async def guarded(
    settings: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Server]:
    monkeypatch.setattr(record_upkeep, "forget_the_deleted", nobody_was_deleted)
    tokens = (
        token("desk", "monitor"),
        token("chief", "admin"),
        token("client", "stream"),
        token("strange", "monitor", scores=False),
    )
    async with Server(settings(tokens=tokens), drain_s=1.0) as server:
        yield server


async def write(server: Server, stream: str, entries: list[Any]) -> None:
    assert server.context.book is not None
    await asyncio.to_thread(server.context.book.journal.write, {stream: entries})


async def test_a_long_history_comes_in_pages(server: Server, dial: Any) -> None:
    entries = whole("one")
    await write(server, "one", entries[:-1] * 100 + entries[-1:])
    async with dial(server, "/v1/control") as desk:
        first = await desk.ask(type="history", stream="one")
        assert (len(first["entries"]), first["after"], first["more"]) == (PAGE, PAGE, True)
        rest = await desk.ask(type="history", stream="one", after=PAGE)
        assert (len(rest["entries"]), rest["more"]) == (302, False)  # with that it was looked at
        nothing = await desk.ask(type="history", stream="one", after=rest["after"])
        assert nothing == {"entries": [], "after": PAGE + 302, "more": False, "clips": []}
    kinds = [entry["kind"] for entry in first["entries"]][:8]
    assert kinds == ["started", *["scores"] * 4, "told", "acted", "told"]
    assert rest["entries"][-1]["kind"] == "acted"
    assert rest["entries"][-1]["act"] == "viewed"


async def test_the_streams_of_an_exam_are_listed_by_candidate(guarded: Server, dial: Any) -> None:
    for stream, exam in (("one", "e1"), ("two", "e1"), ("three", "e2")):
        await write(guarded, stream, whole(stream, exam=exam, candidate=f"of {stream}"))
    async with dial(guarded, "/v1/control", headers=showing("desk")) as desk:
        found = await desk.ask(type="recorded", exam="e1")
        assert [(row["stream"], row["candidate"]) for row in found] == [
            ("one", "of one"),
            ("two", "of two"),
        ]
        assert all(row["started_at"] < row["ended_at"] for row in found)
        assert await desk.ask(type="recorded", exam="e3") == []
    async with dial(guarded, "/v1/control", headers=showing("client")) as client:
        error = await client.ask(type="recorded", exam="e1")
        assert error["code"] == "unauthorised"


async def test_whoever_looks_at_a_record_is_noted_once(guarded: Server, dial: Any) -> None:
    await write(guarded, "one", whole("one"))
    async with dial(guarded, "/v1/control", headers=showing("desk")) as desk:
        for _ in range(3):
            await desk.ask(type="history", stream="one")
    book = guarded.context.book
    assert book is not None
    viewed = [entry for entry in book.history("one") if getattr(entry, "act", "") == "viewed"]
    assert len(viewed) == 1
    assert viewed[0].who.startswith("token desk (")


def views(server: Server, stream: str) -> list[str]:
    """Whom the record says to have looked at a stream."""
    assert server.context.book is not None
    try:
        entries = server.context.book.history(stream)
    except UnknownStream:  # nothing of it is written yet
        return []
    return [e.who.split()[1] for e in entries if isinstance(e, Acted) and e.act == "viewed"]


async def noted(server: Server, stream: str, *who: str) -> None:
    """Wait until the record says that exactly these have looked."""
    async with asyncio.timeout(10):
        while sorted(await asyncio.to_thread(views, server, stream)) != sorted(who):
            await asyncio.sleep(0.05)


async def test_whoever_reads_incidents_is_noted_once_a_token(guarded: Server, dial: Any) -> None:
    *entries, end = whole("one", exam="e1")
    await write(guarded, "one", [*entries, other_voice(7.5), end])
    await write(guarded, "two", whole("two"))
    for holder in ("desk", "desk", "chief"):
        async with dial(guarded, "/v1/control", headers=showing(holder)) as desk:
            assert await desk.ask(type="incidents", exam="e1")
            await desk.ask(type="history", stream="one")
    await noted(guarded, "one", "chief", "desk")
    async with dial(guarded, "/v1/control", headers=showing("chief")) as desk:
        await desk.ask(type="incidents", stream="two")  # of which there is none
    await noted(guarded, "two", "chief")
    await noted(guarded, "one", "chief", "desk")
    book = guarded.context.book
    assert book is not None
    log = [(one.stream, one.act) for one in book.register() if one.act == "viewed"]
    assert sorted(log) == [("one", "viewed"), ("one", "viewed"), ("two", "viewed")]
    assert book.verify().findings == ()


async def test_a_monitor_is_noted_in_each_stream_that_it_is_told_of(
    guarded: Server, dial: Any
) -> None:
    stream = {"type": "start", "encoding": "pcm_s16le", "sample_rate": 16000}
    async with dial(guarded, "/v1/stream", headers=showing("client")) as before:
        await before.say(**stream)
        first = (await before.hear())["stream"]
        async with dial(guarded, "/v1/monitor", headers=showing("desk")) as monitor:
            await monitor.hear()
            async with dial(guarded, "/v1/stream", headers=showing("client")) as later:
                await later.say(**stream)
                second = (await later.hear())["stream"]
                await monitor.hear()  # that it was opened
                await noted(guarded, first, "desk")
        await noted(guarded, second, "desk")  # though it was over by then
    assert guarded.context.book is not None
    assert guarded.context.book.verify().findings == ()


async def test_a_damaged_record_keeps_nobody_from_being_noted_in_others(
    guarded: Server, dial: Any
) -> None:
    for stream in ("one", "two"):
        *entries, end = whole(stream, exam="e1")
        await write(guarded, stream, [*entries, other_voice(7.5), end])
    book = guarded.context.book
    assert book is not None
    with writing(book.journal.engine) as connection:
        connection.execute(
            update(tables.streams).where(tables.streams.c.stream == "one").values(length=3)
        )
    async with dial(guarded, "/v1/control", headers=showing("desk")) as desk:
        assert await desk.ask(type="incidents", exam="e1")
    await noted(guarded, "two", "desk")


async def test_what_the_desk_does_is_written_down(guarded: Server, dial: Any) -> None:
    *entries, end = whole("one")
    await write(guarded, "one", [*entries, other_voice(7.5), end])
    async with dial(guarded, "/v1/control", headers=showing("desk")) as desk:
        acted = await desk.ask(type="act", stream="one", act="note", text="coughs")
        assert (acted["act"], acted["text"], acted["t"]) == ("note", "coughs", 8.0)
        assert acted["who"].startswith("token desk (")
        verdict = await desk.ask(
            type="act", stream="one", act="verdict", verdict="cleared", text="it was the radio"
        )
        assert verdict["verdict"] == "cleared"
        await desk.ask(type="act", stream="one", act="acknowledge", incident="one/1")
        entries = (await desk.ask(type="history", stream="one"))["entries"]
    acts = [(e["act"], e.get("text"), e.get("incident")) for e in entries if e["kind"] == "acted"]
    assert acts[1:] == [
        ("note", "coughs", None),
        ("verdict", "it was the radio", None),
        ("acknowledge", None, "one/1"),
        ("viewed", None, None),
    ]
    assert entries[-1]["at"] > T0 - 1e9


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"act": "note"}, "bad-parameter"),
        ({"act": "acknowledge"}, "bad-parameter"),
        ({"act": "verdict"}, "bad-parameter"),
        ({"act": "verdict", "verdict": "guilty"}, "bad-parameter"),
        ({"act": "viewed"}, "bad-parameter"),
        ({"act": "note", "text": "x" * 2001}, "bad-parameter"),
        ({"act": "note", "text": "x", "stream": "none"}, "unknown-stream"),
        ({"act": "hold"}, "unauthorised"),
        ({"act": "release"}, "unauthorised"),
    ],
)
async def test_an_act_that_cannot_be_is_refused_and_not_written(
    guarded: Server, dial: Any, fields: dict[str, Any], code: str
) -> None:
    await write(guarded, "one", whole("one"))
    async with dial(guarded, "/v1/control", headers=showing("desk")) as desk:
        error = await desk.ask(**({"type": "act", "stream": "one"} | fields))
    assert error["code"] == code
    assert guarded.context.book is not None
    assert len(guarded.context.book.history("one")) == len(whole("one"))


async def test_who_manages_keeps_a_record_from_being_deleted(guarded: Server, dial: Any) -> None:
    await write(guarded, "one", whole("one"))
    book = guarded.context.book
    assert book is not None
    async with dial(guarded, "/v1/control", headers=showing("chief")) as chief:
        await chief.ask(type="act", stream="one", act="hold", text="an appeal")
        assert (book.facts("one").held_by or "").startswith("token chief (")
        await chief.ask(type="act", stream="one", act="release")
    assert book.facts("one").held_by is None


async def test_a_token_of_a_stream_reads_no_record(guarded: Server, dial: Any) -> None:
    await write(guarded, "one", whole("one"))
    async with dial(guarded, "/v1/control", headers=showing("client")) as client:
        for asked in ({"type": "history"}, {"type": "act", "act": "note", "text": "me"}):
            error = await client.ask(stream="one", **asked)
            assert error["code"] == "unauthorised"


async def test_a_token_that_is_told_no_figures_reads_none(guarded: Server, dial: Any) -> None:
    entries = whole("one")
    await write(guarded, "one", entries)
    async with dial(guarded, "/v1/control", headers=showing("strange")) as strange:
        page = await strange.ask(type="history", stream="one")
    kinds = [entry["kind"] for entry in page["entries"]]
    assert kinds == ["started", "told", "acted", "told", "ended", "acted"]
    assert page["after"] == len(entries) + 1
    assert all(e["event"]["llr"] is None for e in page["entries"] if e["kind"] == "told")


async def test_without_records_there_is_nothing_to_ask_for(
    settings: Callable[..., Config], dial: Any
) -> None:
    config = settings(records=False)
    async with Server(config, drain_s=1.0) as server, dial(server, "/v1/control") as desk:
        assert (await desk.ask(type="history", stream="one"))["code"] == "no-records"


async def test_who_it_was_stays_known_while_a_record_is_held(server: Server) -> None:
    """Rosters are forgotten with the records of their exams, and what is held is none of these."""
    exams, now = server.context.exams, time.time()
    long_ago = now - 40 * 86_400.0
    exam = await asyncio.to_thread(exams.create, "Oral", long_ago, long_ago + 60, Rules(), now)
    lines = [Entry(candidate="1", name="Anna"), Entry(candidate="2", name="Ben")]
    anna, _ = await asyncio.to_thread(exams.add, exam.id, lines)
    hold = Acted(at=T0 + 9, t=8.0, who="chief", act="hold")
    await write(server, "one", [*whole("one", exam=exam.id, candidate=anna.id), hold])
    await purge(server.context)
    known = await asyncio.to_thread(exams.roster, exam.id)
    assert [one.name for one in known] == ["Anna", ""]
