"""Sound around incidents, on a real server: of whom it is kept, and who may listen."""

# Long: exam, candidate and sealed sound are set up once, and each test asks one thing of them.

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
from typer.testing import CliRunner

from streamer.cli import app
from streamer.config import Config
from streamer.exams.consents import CLIPS_PURPOSE, text_hash
from streamer.exams.exam import ConsentRow, Entry, Rules
from streamer.records import tables
from streamer.records.entries import Acted, Clip, Started
from streamer.server.record_upkeep import forget_the_deleted
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


@pytest.mark.parametrize("way", ["page", "answer", "admin", "command"])
async def test_whoever_takes_back_clips_alone_goes_on_without_them(
    server: Server, dial: Dial, pcm: Any, way: str
) -> None:
    context, link = server.context, seat(server, True)
    assert context.book is not None
    before = await taken_over(server, dial, link, pcm, held=True)
    assert await clips(server, before)
    context.book.act(before, Acted(at=time.time(), t=0.0, who="desk", act="hold"))
    async with dial(server, headers=bearer(link), sample_rate=16_000) as wire:
        stream = (await wire.until("ready"))["stream"]
        live = next(one for one in server.streams.all() if not one.record.ended)
        await becomes(lambda: live.session.recent)
        await wire.sound(pcm("anna", 6.0) + pcm("bert", 8.0))
        await becomes(lambda: live.record.incidents)
        assert await offered(server, dial, before)
        await take_clips_back(server, dial, link, way)
        assert await offered(server, dial, before) == []
        await becomes(lambda: live.session.recent is None)  # of the command a second later
        assert rows(server) == 0
        await wire.sound(pcm("anna", 6.0) + pcm("bert", 8.0))
        await wire.say(type="finalize")
        assert (await wire.until("summary"))["received_s"] > 20
    await becomes(lambda: live.record.ended)
    assert context.clips is not None
    await asyncio.to_thread(context.clips.close, WAIT_S)  # what waits is looked at
    assert rows(server) == 0
    assert context.book.verify().findings == ()
    assert {one.act for one in context.book.register(before)} >= {"opened", "held", "silenced"}
    agreed, taken_back = context.exams.consents.of()
    assert (agreed.withdrawn_at, agreed.purpose) == (None, "exam"), "that holds as before"
    assert taken_back.text_sha256 == agreed.text_sha256
    assert taken_back.purpose == CLIPS_PURPOSE
    assert taken_back.withdrawn_at == pytest.approx(time.time(), abs=60)
    assert (await seat_of(server, dial, link))["clips"]["answer"] == "refused"
    page = await get(server, f"/v1/records/{stream}/report.html", bearer("desk"))
    assert "withdrawn" in page.text


async def test_clips_that_were_left_when_they_were_taken_back_go_all_the_same(
    server: Server, dial: Dial, pcm: Any
) -> None:
    """The server was killed in between, or there was no room to delete them."""
    context = server.context
    stream = await taken_over(server, dial, seat(server, True), pcm, held=True)
    assert await clips(server, stream)
    (anna,) = context.exams.everybody()
    context.exams.consents.withdraw_clips(anna.id, time.time())
    context.exams.note_clips(anna, time.time())
    assert rows(server) > 0
    for _ in range(2):
        await forget_the_deleted(context)
    assert rows(server) == 0
    assert context.book is not None
    (note,) = (one for one in context.book.register(stream) if one.act == "silenced")
    assert note.who == "the server"
    assert context.book.verify().findings == ()


async def offered(server: Server, dial: Dial, stream: str) -> list[str]:
    """Of which incidents a desk is told that there is sound."""
    async with dial(server, "/v1/control", headers=bearer("desk")) as desk:
        history = await desk.ask(type="history", stream=stream)
    told = [one["incident"] for one in history["entries"] if one["kind"] == "clip"]
    assert told, "the entry stays"
    return list(history["clips"])


async def take_clips_back(server: Server, dial: Dial, link: str, way: str) -> None:
    """By the page, the page's question, an admin's request, or the command."""
    match way:
        case "answer":
            assert await answered(server, dial, link, agreed=False) == {}
        case "command":
            exam = server.context.exams.exams()[0].id
            folder = str(server.context.config.data_dir)
            command = ["exam", "withdraw-clips", exam, "4711", "--data", folder]
            done = await asyncio.to_thread(CliRunner().invoke, app, command)
            assert "sound was deleted; none is kept from now on" in done.output, done.exception
        case _:
            token = "root" if way == "admin" else link
            whose = {"name": "anna"} if way == "admin" else {}
            async with dial(server, "/v1/control") as page:
                await page.ask(type="authenticate", token=token)
                assert await page.ask(type="withdraw", clips=True, **whose) == {}


async def test_clips_may_be_agreed_to_anew_in_the_middle_of_a_stream(
    server: Server, dial: Dial, pcm: Any
) -> None:
    link = seat(server, None)
    assert await answered(server, dial, link, agreed=True) == {}
    async with dial(server, headers=bearer(link), sample_rate=16_000) as wire:
        await wire.until("ready")
        (live,) = server.streams.all()
        await becomes(lambda: live.session.recent)
        await take_clips_back(server, dial, link, "page")
        assert live.session.recent is None
        assert await answered(server, dial, link, agreed=True) == {}
        await becomes(lambda: live.session.recent)
    withdrawn, agreed = server.context.exams.consents.of()
    assert withdrawn.withdrawn_at is not None
    assert agreed.withdrawn_at is None
    assert server.context.exams.everybody()[0].clips_refused_at is None


async def test_only_whose_sound_it_is_or_an_admin_takes_it_back(server: Server, dial: Dial) -> None:
    seat(server, True)
    async with dial(server, "/v1/control") as wire:
        await wire.ask(type="authenticate", token="desk")
        refused = await wire.ask(type="withdraw", clips=True, name="anna")
        assert refused["code"] == "unauthorised"
        await wire.ask(type="authenticate", token="root")
        unknown = await wire.ask(type="withdraw", clips=True, name="zoe")
        assert unknown["code"] == "unknown-candidate"
    assert server.context.exams.consents.allowing_clips()


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
    ("agreed", "enrolled", "answer"),
    [
        (None, False, "unanswered"),
        (True, True, "agreed"),
        (False, True, "unanswered"),
        (None, True, "unanswered"),
    ],
)
async def test_the_page_says_beforehand_whether_sound_is_kept(
    server: Server, dial: Dial, agreed: bool | None, enrolled: bool, answer: str
) -> None:
    link = seat(server, agreed)
    if not enrolled:
        server.context.store.delete("anna")
    shown = await seat_of(server, dial, link)
    kept = [one["what"] for one in shown["consent"]["kept"]]
    allowed = answer == "agreed"
    assert ("The sound around what is marked is kept" in kept) is allowed
    assert ("unless you allow it separately" in shown["consent"]["text"]) is not allowed
    assert shown["clips"]["answer"] == answer
    assert shown["clips"]["text"].startswith("Around what is marked 10 seconds of sound")


async def test_a_server_that_keeps_no_sound_does_not_ask(
    settings: Callable[..., Config], enrol: Callable[..., None], dial: Dial
) -> None:
    async with Server(settings(), drain_s=1.0) as server:
        enrol(server, "anna")
        link = seat(server, None)
        shown = await seat_of(server, dial, link)
        assert shown["clips"] is None
        assert "The sound itself is not stored." in shown["consent"]["text"]
        refused = await answered(server, dial, link, agreed=True, text_sha256="0" * 64)
        assert refused["code"] == "bad-parameter"


async def seat_of(server: Server, dial: Dial, link: str, *languages: str) -> Any:
    """What the candidate's page is told."""
    async with dial(server, "/v1/control") as wire:
        await wire.ask(type="authenticate", token=link)
        return await wire.ask(type="seat", languages=languages)


async def answered(server: Server, dial: Dial, link: str, **answer: Any) -> Any:
    """What comes of an answer to the question, in German where nothing else is said."""
    question = (await seat_of(server, dial, link, "de"))["clips"] or {}
    asked = {name: question.get(name) for name in ("text_sha256", "language")}
    async with dial(server, "/v1/control") as wire:
        await wire.ask(type="authenticate", token=link)
        return await wire.ask(type="clips", **(asked | answer))


def started(server: Server, stream: str) -> Started:
    assert server.context.book is not None
    first = server.context.book.history(stream)[0]
    assert isinstance(first, Started)
    return first


async def test_who_was_enrolled_before_is_asked_and_agrees(
    server: Server, dial: Dial, pcm: Any
) -> None:
    link = seat(server, None)
    assert await answered(server, dial, link, agreed=True) == {}
    assert (await seat_of(server, dial, link))["clips"]["answer"] == "agreed"
    stream = await taken_over(server, dial, link, pcm, held=True)
    assert await clips(server, stream)
    assert started(server, stream).clips == "agreed"
    (row,) = server.context.exams.consents.of()
    assert (row.clips, row.language) == (True, "de")
    assert row.signer.startswith("link of candidate")
    text = server.context.exams.consents.text(row.text_sha256)
    assert text is not None
    assert text.startswith("Rund um markierte Stellen werden 10 Sekunden Ton")
    report = (await get(server, f"/v1/records/{stream}/report.html", bearer("desk"))).text
    assert "the candidate agreed that sound around incidents is kept" in report
    assert row.text_sha256 in report
    assert await answered(server, dial, link, agreed=True) == {}
    assert len(server.context.exams.consents.of()) == 1, "agreeing twice is one consent"


async def test_who_refuses_goes_on_without_clips_and_may_agree_later(
    server: Server, dial: Dial, pcm: Any
) -> None:
    link = seat(server, None)
    assert await answered(server, dial, link, agreed=False) == {}
    assert (await seat_of(server, dial, link))["clips"]["answer"] == "refused"
    stream = await taken_over(server, dial, link, pcm, held=False)
    assert await clips(server, stream, 0) == []
    assert started(server, stream).clips == "refused"
    report = (await get(server, f"/v1/records/{stream}/report.html", bearer("desk"))).text
    assert "the candidate refused it: no sound is kept" in report
    exams = server.context.exams
    (line,) = exams.everybody()
    async with dial(server, "/v1/control", headers=bearer("desk")) as wire:
        (shown,) = (await wire.ask(type="exam-show", exam=line.exam))["roster"]
    assert shown["clips_refused_at"] == line.clips_refused_at is not None
    assert await answered(server, dial, link, agreed=True) == {}
    assert (await seat_of(server, dial, link))["clips"]["answer"] == "agreed"
    assert exams.everybody()[0].clips_refused_at is None


@pytest.mark.parametrize(
    ("enrolled", "answer", "code"),
    [
        (True, {"text_sha256": "0" * 64}, "consent-missing"),
        (True, {"language": "fr"}, "consent-missing"),  # the hash is that of another language
        (False, {}, "unknown-speaker"),
    ],
)
async def test_an_answer_to_another_question_or_of_nobody_is_not_kept(
    server: Server, dial: Dial, enrolled: bool, answer: dict[str, Any], code: str
) -> None:
    link = seat(server, None)
    if not enrolled:
        server.context.store.delete("anna")
    told = await answered(server, dial, link, agreed=True, **answer)
    assert told["code"] == code
    assert server.context.exams.consents.of() == []


async def test_only_the_candidate_answers(server: Server, dial: Dial) -> None:
    seat(server, None)
    async with dial(server, "/v1/control", headers=bearer("root")) as wire:
        told = await wire.ask(type="clips", agreed=True, text_sha256="0" * 64)
    assert told["code"] == "unauthorised"


async def test_whoever_enrols_by_the_page_is_asked_by_itself(
    server: Server, dial: Dial, pcm: Any
) -> None:
    link = seat(server, None)
    server.context.store.delete("anna")
    consent = (await seat_of(server, dial, link))["consent"]
    given = {"given": True} | {k: consent[k] for k in ("text_version", "text_sha256")}
    async with dial(server, "/v1/enroll", headers=bearer(link)) as wire:
        await wire.say(type="start", name="anna", sample_rate=16_000, consent=given)
        await wire.until("ready")
        await wire.sound(pcm("anna", 12.0))
        await wire.say(type="finalize")
        await wire.until("enrolled")
    consents = server.context.exams.consents
    (row,) = consents.of()
    assert not row.clips, "who agrees to be compared has not agreed to that"
    assert await answered(server, dial, link, agreed=True) == {}
    assert consents.allow_clips(bytes.fromhex(row.person), row.candidate)
    async with dial(server, "/v1/control") as page:
        await page.ask(type="authenticate", token=link)
        await page.ask(type="withdraw")
    assert not consents.allow_clips(bytes.fromhex(row.person), row.candidate)
    assert consents.allowing_clips() == set()
