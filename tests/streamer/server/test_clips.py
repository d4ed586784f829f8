"""Sound around incidents, on a real server: of whom it is kept, and who may listen."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import io
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import soundfile as sf
from server_requests import ask, bearer, get, token
from sqlalchemy import select

from streamer.config import Config
from streamer.exams.consents import text_hash
from streamer.exams.exam import ConsentRow, Entry, Rules
from streamer.records import tables
from streamer.records.entries import Clip
from streamer.server.server import Server
from tests.streamer.conftest import Dial

WAIT_S = 20.0
PATH = "/v1/records/{}/clips/1.ogg"


@pytest.fixture
async def server(
    settings: Callable[..., Config], enrol: Callable[..., None]
) -> AsyncIterator[Server]:
    """A server that keeps clips."""
    tokens = (token("desk", "monitor"), token("phone", "stream"), token("root", "admin"))
    async with Server(settings(tokens=tokens, clips=True), drain_s=1.0) as server:
        enrol(server, "anna")
        yield server


def seat(server: Server, clips: bool | None) -> str:
    """An exam with Anna on its roster, who agreed to clips, or not; None: was not asked."""
    context, now = server.context, time.time()
    exam = context.exams.create("Algebra", now, now + 3600, Rules(), now)
    entry = Entry(candidate="4711", name="Anna Meier", voiceprint="anna")
    (candidate,) = context.exams.add(exam.id, [entry])
    person = context.store.profile("anna", context.store.now()).reference
    if clips is not None:
        row = ConsentRow(
            person=person,
            candidate=candidate.id,
            text_sha256=text_hash("yes"),
            text_version="1",
            language="en",
            purpose="exam",
            term_s=None,
            signer="candidate link",
            given_at=now,
            clips=clips,
        )
        context.exams.consents.give(row, "yes")
    token, _ = context.exams.link(candidate)
    context.seats.refresh()
    return token


async def becomes(so: Callable[[], Any]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(WAIT_S):
        while not so():
            await asyncio.sleep(0.01)


async def taken_over(server: Server, dial: Dial, link: str, pcm: Any, *, held: bool) -> str:
    """Anna's stream, in which Bert goes on; whether its sound is ``held``."""
    async with dial(server, headers=bearer(link), sample_rate=16_000) as wire:
        ready = await wire.until("ready")
        (live,) = server.streams.all()
        if held:  # the answer whether it may be comes from a thread
            await becomes(lambda: live.session.recent)
        await wire.sound(pcm("anna", 6.0) + pcm("bert", 8.0))
        await wire.say(type="finalize")
        await wire.rest()
        assert held or live.session.recent is None
    await becomes(lambda: live.record.ended)
    assert live.session.recent is None  # it was let go with the stream
    return str(ready["stream"])


async def clips(server: Server, stream: str, most: int = 1) -> list[Clip]:
    """The clips in a record, once everything is written."""
    book, writer = server.context.book, server.context.writer
    assert book is not None
    assert writer is not None
    async with asyncio.timeout(WAIT_S):
        while True:
            await asyncio.sleep(0.05)
            if writer.figures().waiting:
                continue
            entries = await asyncio.to_thread(book.history, stream)
            found = [entry for entry in entries if isinstance(entry, Clip)]
            if len(found) >= most and entries[-1].__struct_config__.tag in ("ended", "clip"):
                return found


async def fetch(server: Server, path: str, who: str) -> Any:
    def request() -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", path, headers=bearer(who))
        response: Any = connection.getresponse()
        response.content = response.read()
        connection.close()
        return response

    return await asyncio.to_thread(request)


async def test_a_desk_listens_to_an_incident_of_who_agreed(
    server: Server, dial: Dial, pcm: Any
) -> None:
    stream = await taken_over(server, dial, seat(server, True), pcm, held=True)
    found = await clips(server, stream)
    path = PATH.format(stream)
    response = await fetch(server, path, "desk")
    assert response.status == 200, response.content
    assert response.headers["Content-Type"] == "audio/ogg; codecs=opus"
    first = next(clip for clip in found if clip.incident == f"{stream}/1")
    assert hashlib.sha256(response.content).hexdigest() == first.sha256
    sound, rate = sf.read(io.BytesIO(response.content))
    assert len(sound) == pytest.approx((first.until - first.since) * rate, abs=1)
    assert first.until - first.since <= 10.0
    book = server.context.book
    assert book is not None
    viewed = [one for one in book.register(stream) if one.act == "viewed"]
    assert [one.why for one in viewed] == [f"sound of incident {stream}/1"]
    assert viewed[0].who.startswith("token desk")
    assert book.verify().findings == ()
    report = await get(server, f"/v1/records/{stream}/report.json", bearer("desk"))
    told = json.loads(report.text)["sessions"][0]["incidents"][0]
    assert told["clip_sha256"] == first.sha256
    page = await get(server, f"/v1/records/{stream}/report.html", bearer("desk"))
    assert first.sha256 in page.text


@pytest.mark.parametrize("agreed", [False, None])
async def test_of_who_did_not_agree_no_sound_is_held(
    server: Server, dial: Dial, pcm: Any, agreed: bool | None
) -> None:
    stream = await taken_over(server, dial, seat(server, agreed), pcm, held=False)
    assert await clips(server, stream, 0) == []
    book = server.context.book
    assert book is not None
    assert book.incidents(stream)
    assert (await get(server, PATH.format(stream), bearer("desk"))).status == 404


def rows(server: Server) -> int:
    """How many clips there are."""
    assert server.context.book is not None
    with server.context.book.journal.writing() as connection:
        return len(connection.execute(select(tables.clips.c.stream)).all())


async def test_whoever_takes_consent_back_is_not_kept_any_more(
    server: Server, dial: Dial, pcm: Any
) -> None:
    link = seat(server, True)
    assert await clips(server, await taken_over(server, dial, link, pcm, held=True))
    async with (
        dial(server, headers=bearer(link), sample_rate=16_000) as wire,
        dial(server, "/v1/control") as page,
    ):
        await wire.until("ready")
        live = next(one for one in server.streams.all() if not one.record.ended)
        await becomes(lambda: live.session.recent)
        await wire.sound(pcm("anna", 6.0) + pcm("bert", 8.0))
        await becomes(lambda: live.record.incidents)  # its clip waits for more sound, or is there
        await page.ask(type="authenticate", token=link)
        assert await page.ask(type="withdraw") == {}
        assert live.session.recent is None
        await wire.until("error", code="consent-withdrawn")
    await becomes(lambda: live.record.ended)
    context = server.context
    assert context.clips is not None
    assert context.book is not None
    await asyncio.to_thread(context.clips.close, WAIT_S)  # what waits is looked at
    assert rows(server) == 0
    assert context.book.verify().findings == ()


async def test_sound_goes_with_the_person(server: Server, dial: Dial, pcm: Any) -> None:
    stream = await taken_over(server, dial, seat(server, True), pcm, held=True)
    await clips(server, stream)
    async with dial(server, "/v1/control", headers=bearer("root")) as wire:
        await wire.ask(type="delete", name="anna")
    assert rows(server) == 0
    assert (await get(server, PATH.format(stream), bearer("desk"))).status == 404
    assert server.context.book is not None
    assert server.context.book.verify().findings == ()


async def test_only_a_desk_may_listen(server: Server, dial: Dial, pcm: Any) -> None:
    link = seat(server, True)
    stream = await taken_over(server, dial, link, pcm, held=True)
    await clips(server, stream)
    path = PATH.format(stream)
    for who in ("phone", link, "nobody"):
        assert (await get(server, path, bearer(who))).status in (401, 403)
    head = await ask(server, "HEAD", path, headers=bearer("root"))
    assert head.status == 200
    book = server.context.book
    assert book is not None
    assert not [one for one in book.register(stream) if one.act == "viewed"]
    async with dial(server, "/v1/control", headers=bearer("desk")) as wire:
        once = await wire.ask(type="url_token", role="monitor")
    assert (await fetch(server, f"{path}?token={once['token']}", "")).status == 200


@pytest.mark.parametrize(
    ("agreed", "enrolled", "told"),
    [(None, False, True), (True, True, True), (False, True, False), (None, True, False)],
)
async def test_the_page_says_beforehand_whether_sound_is_kept(
    server: Server, dial: Dial, agreed: bool | None, enrolled: bool, told: bool
) -> None:
    link = seat(server, agreed)
    if not enrolled:
        server.context.store.delete("anna")
    async with dial(server, "/v1/control") as wire:
        await wire.ask(type="authenticate", token=link)
        shown = await wire.ask(type="seat")
    kept = [one["what"] for one in shown["consent"]["kept"]]
    assert ("The sound around what is marked is kept" in kept) is told
    assert ("The sound itself is not stored." in shown["consent"]["text"]) is not told


async def test_whoever_enrols_by_the_page_agrees_to_it(
    server: Server, dial: Dial, pcm: Any
) -> None:
    link = seat(server, None)
    server.context.store.delete("anna")
    async with dial(server, "/v1/control") as wire:
        await wire.ask(type="authenticate", token=link)
        consent = (await wire.ask(type="seat"))["consent"]
    given = {"given": True} | {k: consent[k] for k in ("text_version", "text_sha256")}
    async with dial(server, "/v1/enroll", headers=bearer(link)) as wire:
        await wire.say(type="start", name="anna", sample_rate=16_000, consent=given)
        await wire.until("ready")
        await wire.sound(pcm("anna", 12.0))
        await wire.say(type="finalize")
        await wire.until("enrolled")
    context = server.context
    person = context.store.profile("anna", context.store.now()).reference
    (row,) = context.exams.consents.of(person=bytes.fromhex(person))
    assert row.clips
    assert context.exams.consents.allow_clips(bytes.fromhex(person), row.candidate)
