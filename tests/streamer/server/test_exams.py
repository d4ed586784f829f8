"""Exams over the wire: rosters, links, and what a link opens and does not."""

# Long: a test for each thing that a link opens or does not, in one room with one roster.

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from phone_line import dialled, heard, send
from recorded import T0, score, started
from server_requests import bearer, get, token
from telephone import Twilio

from streamer.config import Config
from streamer.exams.book import Exams
from streamer.records.book import Book
from streamer.records.entries import Connection, Ended
from streamer.records.errors import RecordError
from streamer.server.limits.capacity import Capacity
from streamer.server.seat_watch import follow_seat
from streamer.server.server import Server
from streamer.store.errors import StoreError
from tests.streamer.conftest import Dial, Wire

DESK = bearer("desk")
START = {"sample_rate": 16_000}


@dataclass
class Room:
    """A server with an exam, and Anna and Ben on its roster; Anna is enrolled."""

    server: Server
    dial: Dial
    exam: str
    links: dict[str, str]
    ids: dict[str, str]

    async def ask(self, wire: Wire, name: str) -> None:
        await wire.ask(type="authenticate", token=self.links[name])

    def stream(self, name: str, **query: Any) -> Any:
        """A stream by somebody's link, as a program opens it."""
        return self.dial(self.server, headers=bearer(self.links[name]), **START | query)


OWN = {"consent_text": "Akkoord?", "consent_version": "7", "consent_language": "nl"}


@pytest.fixture
def own() -> dict[str, Any]:
    """An operator's own text of consent; here none."""
    return {}


@pytest.fixture
async def room(
    settings: Callable[..., Config], dial: Dial, enrol: Callable[..., None], own: dict[str, Any]
) -> AsyncIterator[Room]:
    tokens = [token("desk", "admin", "monitor"), token("phone", "stream")]
    async with Server(settings(tokens=tokens, **own), drain_s=1.0) as server:
        enrol(server, "anna")
        async with dial(server, "/v1/control", headers=DESK) as wire:
            made = await wire.ask(type="exam-create", name="Algebra I", ends_at=time.time() + 3600)
            lines = [
                {"candidate": "4711", "name": "Anna Meier", "voiceprint": "anna"},
                {"candidate": "4712", "name": "Ben Ode", "accommodations": ["stutter"]},
            ]
            added = await wire.ask(type="roster", exam=made["id"], add=lines)
            assert [one["enrolled"] for one in added] == [True, False]
            links = {}
            for number, name in (("4711", "anna"), ("4712", "ben")):
                told = await wire.ask(type="candidate-link", exam=made["id"], candidate=number)
                assert told["link"] == f"/candidate#{told['token']}"
                links[name] = told["token"]
        ids = {"anna": added[0]["candidate"], "ben": added[1]["candidate"]}
        yield Room(server, dial, made["id"], links, ids)


async def test_a_desk_sees_the_exam_and_who_is_enrolled(room: Room) -> None:
    async with room.dial(room.server, "/v1/control", headers=DESK) as wire:
        (listed,) = await wire.ask(type="exam-list")
        shown = await wire.ask(type="exam-show", exam=room.exam)
        assert (await wire.ask(type="exam-show", exam="0000"))["code"] == "unknown-exam"
        bad = await wire.ask(type="roster", exam=room.exam, add=[{"candidate": ""}])
        assert bad["code"] == "bad-roster"
    assert listed["name"] == shown["name"] == "Algebra I"
    assert [(one["name"], one["enrolled"]) for one in shown["roster"]] == [
        ("Anna Meier", True),
        ("Ben Ode", False),
    ]


@pytest.mark.parametrize(
    "request_",
    [
        {"type": "profiles"},
        {"type": "profile", "name": "anna"},
        {"type": "streams"},
        {"type": "exam-list"},
        {"type": "url_token", "role": "monitor"},
        {"type": "withdraw", "name": "anna"},
    ],
    ids=lambda request: request["type"],
)
async def test_a_link_opens_its_page_and_nothing_else(room: Room, request_: dict[str, Any]) -> None:
    async with room.dial(room.server, "/v1/control") as wire:
        await room.ask(wire, "ben")
        await wire.ask(type="authenticate", token="desk")  # does not widen what the link is
        answer = await wire.ask(**request_)
    if request_["type"] == "withdraw":  # of oneself, whatever name is given
        assert "anna" in {one.name for one in room.server.context.store.profiles(time.time())}
    else:
        assert answer["code"] == "unauthorised"


async def test_a_link_opens_no_request_over_plain_http(room: Room) -> None:
    assert (await get(room.server, "/metrics", bearer(room.links["anna"]))).status == 401


async def test_a_candidate_is_told_what_is_kept_and_how_long(room: Room) -> None:
    async with room.dial(room.server, "/v1/control") as wire:
        await room.ask(wire, "ben")
        seat = await wire.ask(type="seat")
    assert (seat["name"], seat["exam"], seat["enrolled"]) == ("Ben Ode", "Algebra I", False)
    assert "Algebra I" in seat["consent"]["text"]
    assert [one["what"] for one in seat["consent"]["kept"]] == [
        "Your voiceprint is kept",
        "The record of the exam is kept",
    ]


async def test_the_roster_says_who_has_opened_their_link(room: Room) -> None:
    async def opened() -> list[bool]:
        async with room.dial(room.server, "/v1/control", headers=DESK) as wire:
            roster = (await wire.ask(type="exam-show", exam=room.exam))["roster"]
        return [one["opened_at"] is not None for one in roster]

    assert await opened() == [False, False]
    async with room.dial(room.server, "/v1/control") as wire:
        await room.ask(wire, "ben")
        await wire.ask(type="seat")
    assert await opened() == [False, True]
    async with room.stream("anna") as wire:  # a program of their own, without the page
        await wire.until("ready")
    assert await opened() == [True, True]


async def test_nobody_is_kept_out_where_their_coming_cannot_be_noted(
    room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(Exams, "note_opened", full)
    async with room.dial(room.server, "/v1/control") as wire:
        await room.ask(wire, "ben")
        assert (await wire.ask(type="seat"))["name"] == "Ben Ode"
    async with room.stream("anna") as wire:
        await wire.until("ready")
    assert "could not be written down: the disk is full" in caplog.text


async def test_a_candidate_is_who_the_roster_says_whatever_they_ask_for(
    room: Room, pcm: Callable[..., bytes]
) -> None:
    async with (
        room.dial(room.server, "/v1/monitor", headers=DESK) as desk,
        room.stream("anna", claim="ben", label="Ben Ode", false_accept=0.09, live="false") as wire,
    ):
        await desk.until("ready")
        ready = await wire.until("ready")
        opened = await desk.until("opened")
        assert ready["claims"] == opened["claims"] == ["anna"]
        assert ready["bounds"]["false_accept"] == 0.01
        assert opened["label"] == "Anna Meier"
        assert (opened["exam"], opened["candidate"]) == (room.exam, room.ids["anna"])
        await wire.sound(pcm("anna", 6.0))
        await desk.until("decision", state="match")
        await wire.say(type="finalize")
        assert await wire.rest() == 1000
    told = {message["type"] for message in wire.seen}
    assert told <= {"ready", "vad", "quality", "summary", "lag"}
    assert wire.of("summary")[0]["decisions"] == {}


async def test_a_token_may_stream_for_a_candidate(room: Room) -> None:
    query = {"exam": room.exam, "candidate": "4711"}
    async with room.dial(room.server, headers=bearer("phone"), **query) as wire:
        assert (await wire.until("ready"))["claims"] == ["anna"]
    for wrong in ({"exam": room.exam}, query | {"candidate": "4713"}):
        async with room.dial(room.server, headers=bearer("phone"), **wrong) as wire:
            assert (await wire.until("error"))["code"] == "bad-parameter"


@pytest.mark.parametrize("control", [{"type": "mute", "on": True}, {"type": "reset"},
                                     {"type": "configure", "claim": ""}], ids=str)  # fmt: skip
async def test_a_candidate_cannot_change_how_they_are_heard(
    room: Room, control: dict[str, Any]
) -> None:
    async with room.stream("anna") as wire:
        await wire.until("ready")
        await wire.say(**control)
        assert (await wire.until("error"))["code"] == "unauthorised"


async def test_a_candidate_may_say_that_they_are_still_there(room: Room) -> None:
    async with room.stream("anna") as wire:
        await wire.until("ready")
        await wire.say(type="keepalive")
        await wire.say(type="finalize")
        assert await wire.rest() == 1000


async def test_a_candidate_may_come_by_telephone(room: Room) -> None:
    call = Twilio(token=room.links["anna"], claim="ben", label="somebody else")
    async with room.dial(room.server, "/v1/monitor", headers=DESK) as desk:
        await desk.until("ready")
        async with dialled(room.server) as phone:
            messages = [call.connected, call.start(), call.mark("welcome"), call.stop()]
            await send(phone, messages)
            assert await heard(phone) == ([], 1000, "")
        opened = await desk.until("opened")
    assert (opened["label"], opened["claims"]) == ("Anna Meier", ["anna"])
    assert (opened["exam"], opened["candidate"]) == (room.exam, room.ids["anna"])


async def test_thirty_candidates_behind_one_address_are_no_crowd(
    settings: Callable[..., Config],
    dial: Dial,
    enrol: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That the machine carries them all at once is not asked here."""
    monkeypatch.setattr(Capacity, "has_room", lambda *_: True)
    few = {"audio_s_per_client_hour": 1.0, "opens_per_minute": 3, "requests_per_minute": 6}
    config = settings(tokens=[token("desk", "admin")], limits=few)
    async with Server(config, drain_s=1.0) as server, asyncio.timeout(60):
        enrol(server, "anna")
        exams = server.context.seats.exams
        from streamer.exams.exam import Entry, Rules

        made = exams.create("Algebra", time.time(), time.time() + 3600, Rules(), time.time())
        entries = [Entry(candidate=str(n), name=f"C {n}", voiceprint="anna") for n in range(30)]
        people = exams.add(made.id, entries)
        server.context.seats.refresh()

        async def sit(link: str) -> str:
            async with dial(server, headers=bearer(link), **START) as wire:
                await wire.until("ready")
                await wire.sound(b"\0" * 64_000)
                await wire.say(type="finalize")
                await wire.until("summary")
                return "heard"

        told = await asyncio.gather(*(sit(exams.link(one)[0]) for one in people))
        assert told == ["heard"] * 30
        async with dial(server, headers=bearer(exams.link(people[0])[0]), **START) as wire:
            assert (await wire.until("error"))["code"] == "audio-quota", "each has a quota"


async def test_monitors_are_told_when_a_link_ends_a_stream(room: Room) -> None:
    exam = room.server.context.seats.exams.exam(room.exam)
    async with (
        room.dial(room.server, "/v1/monitor", headers=DESK) as before,
        room.stream("anna") as stream,
        room.dial(room.server, headers=bearer("phone"), **START, claim="") as other,
    ):
        await stream.until("ready")
        await other.until("ready")
        opened = [await before.until("opened") for _ in range(2)]
        ends = {one["candidate"]: one["link_expires_at"] for one in opened}
        assert ends == {room.ids["anna"]: float(int(exam.ends_at + 3600)), None: None}
        async with room.dial(room.server, "/v1/monitor", headers=DESK) as after:
            streams = (await after.until("ready"))["streams"]
        assert {one["candidate"]: one["link_expires_at"] for one in streams} == ends


async def test_opening_the_link_anew_ends_the_stream_before(room: Room) -> None:
    async with room.stream("anna") as first:
        await first.until("ready")
        async with room.stream("anna") as second:
            await second.until("ready")
            assert (await first.until("error"))["code"] == "taken-over"
            assert await first.rest() == 1008
            assert [message["type"] for message in first.seen[-2:]] == ["summary", "error"]
            async with asyncio.timeout(10):
                while len(room.server.streams) > 1:
                    await asyncio.sleep(0.01)


@pytest.mark.parametrize("own", [{"limits": {"resume_s": 0.2}}])
async def test_whom_a_link_opened_anew_has_ended_was_not_lost(room: Room) -> None:
    """Though the page that was open before is not there any more to take its leave."""
    book = room.server.context.book
    assert book is not None
    async with room.stream("anna") as first:
        stream = (await first.until("ready"))["stream"]
        first.connection.transport.pause_reading()
        async with room.stream("anna") as second:
            await second.until("ready")
            async with asyncio.timeout(20):
                while await asyncio.to_thread(last_entry, book, stream) is None:
                    await asyncio.sleep(0.02)
                first.connection.transport.abort()
                while len(room.server.streams) > 1:
                    await asyncio.sleep(0.02)
    end = await asyncio.to_thread(last_entry, book, stream)
    assert end is not None
    assert (end.code, end.why) == (1008, "taken-over")
    assert not [one for one in book.history(stream) if isinstance(one, Connection)]
    assert book.incidents(stream) == []


def last_entry(book: Book, stream: str) -> Ended | None:
    """The end of a stream, once it is in the record."""
    try:
        last = book.history(stream)[-1]
    except RecordError:
        return None
    return last if isinstance(last, Ended) else None


async def test_a_stream_that_a_kill_has_ended_is_over_when_the_candidate_is_back(
    room: Room,
) -> None:
    book = room.server.context.book
    assert book is not None
    seat = room.ids["anna"]
    lost = started("lost", exam=room.exam, candidate=seat, claims=(), voiceprints=())
    book.journal.write({"lost": [lost, score(3.0)]})
    async with room.stream("anna") as before:
        await before.until("ready")
    async with room.stream("anna") as wire:
        await wire.until("ready")
        async with asyncio.timeout(10):
            while (await asyncio.to_thread(book.facts, "lost")).ended_at is None:
                await asyncio.sleep(0.02)
    end = book.history("lost")[-1]
    assert isinstance(end, Ended)
    assert (end.at, end.t, end.code, end.why) == (T0 + 3, 3.0, 1006, "its server was killed")
    async with asyncio.timeout(10):
        while len(await asyncio.to_thread(book.streams, room.exam)) < 3:
            await asyncio.sleep(0.02)
    for stream in book.streams(room.exam):
        ends = [one for one in book.history(stream.stream) if isinstance(one, Ended)]
        assert len(ends) <= 1
        assert end.why not in [one.why for one in ends] or stream.stream == "lost"
    assert book.verify().findings == ()


async def test_the_end_of_an_exam_is_told_and_the_summary_follows(
    room: Room, pcm: Callable[..., bytes]
) -> None:
    async with (
        room.stream("anna") as wire,
        room.dial(room.server, "/v1/control", headers=DESK) as desk,
    ):
        await wire.until("ready")
        await wire.sound(pcm("anna", 3.0))
        await desk.ask(type="exam-end", exam=room.exam)
        await wire.until("error", code="exam-ended")
        await wire.sound(bytes(3200))  # which is on its way when the exam is ended
        await wire.until("summary")
        assert await wire.rest() == 1000
    async with room.dial(room.server, "/v1/control") as late:
        answer = await late.ask(type="authenticate", token=room.links["anna"])
        assert answer["code"] == "unauthorised"


@pytest.mark.parametrize(
    ("after_its_end_s", "code"), [(-600.0, "link-expired"), (600.0, "exam-ended")]
)
async def test_a_link_that_expires_says_whether_the_exam_goes_on(
    room: Room, pcm: Callable[..., bytes], after_its_end_s: float, code: str
) -> None:
    """By a clock that is put forward."""
    seats = room.server.context.seats
    expires_at = seats.exams.exam(room.exam).ends_at + after_its_end_s
    (anna,) = [one for one in seats.exams.roster(room.exam) if one.candidate == "4711"]
    link, until = seats.exams.link(anna, expires_at=expires_at)
    async with room.dial(room.server, headers=bearer(link), **START) as wire:
        await wire.until("ready")
        await wire.sound(pcm("anna", 3.0))
        (stream,) = room.server.streams.all()
        await follow_seat(stream, seats, until - 30.0)
        await wire.until("error", code="stream-ends-soon")
        await follow_seat(stream, seats, until)
        await wire.until("error", code=code)
        await wire.until("summary")
        assert await wire.rest() == 1000


async def test_a_renewed_link_takes_the_place_of_the_one_before(room: Room) -> None:
    async with (
        room.stream("anna") as wire,
        room.dial(room.server, "/v1/control", headers=DESK) as desk,
    ):
        await wire.until("ready")
        ask = {"type": "candidate-link", "exam": room.exam, "candidate": "4711"}
        assert (await desk.ask(**ask))["token"] == room.links["anna"]
        fresh = (await desk.ask(**ask, renew=True))["token"]
        assert (await wire.until("error"))["code"] == "unauthorised"
        assert wire.seen[-2]["type"] == "summary"
        async with room.dial(room.server, headers=bearer(fresh), **START) as again:
            await again.until("ready")


async def test_withdrawing_ends_everything_at_once(room: Room) -> None:
    context = room.server.context
    reference = context.store.profile("anna", time.time()).reference
    async with room.stream("anna") as wire, room.dial(room.server, "/v1/control") as page:
        await wire.until("ready")
        await room.ask(page, "anna")
        assert await page.ask(type="withdraw") == {}
        assert "anna" not in {one.name for one in context.store.profiles(time.time())}
        assert (await wire.until("error"))["code"] == "consent-withdrawn"
        seat = await page.ask(type="seat")
        assert (seat["withdrawn"], seat["enrolled"]) == (True, False)
    assert all(
        row.withdrawn_at is not None
        for row in context.seats.exams.consents.of(person=bytes.fromhex(reference))
    )


async def test_an_enrolment_by_a_link_keeps_what_was_agreed_to(
    room: Room, pcm: Callable[..., bytes]
) -> None:
    async with room.dial(room.server, "/v1/control") as page:
        await room.ask(page, "ben")
        agreed = (await page.ask(type="seat"))["consent"]
        old = {"given": True, "text_version": agreed["text_version"]}
        for consent in (old, old | {"text_sha256": "0" * 64}):
            async with room.dial(
                room.server, "/v1/enroll", headers=bearer(room.links["ben"])
            ) as wire:
                await wire.say(type="start", consent=consent)
                assert (await wire.until("error"))["code"] == "consent-missing"
        async with room.dial(room.server, "/v1/enroll", headers=bearer(room.links["ben"])) as wire:
            consent = old | {"text_sha256": agreed["text_sha256"]}
            await wire.say(type="start", name="anna", add=True, consent=consent)
            assert (await wire.until("ready"))["name"] == f"4712@{room.exam}"
            await wire.sound(pcm("anna", 26.0))  # who is enrolled, which is nothing for Ben
            while (enrolled := await wire.hear())["type"] not in ("enrolled", "refused"):
                pass
            assert enrolled["type"] == "enrolled", enrolled
            assert (enrolled["name"], enrolled["like_voices"]) == (f"4712@{room.exam}", [])
        assert (await page.ask(type="seat"))["enrolled"]
    consents = room.server.context.seats.exams.consents
    (row,) = consents.of(candidate=room.ids["ben"])
    assert row.text_sha256 == agreed["text_sha256"]
    assert row.signer.startswith("link of candidate (")
    text = consents.text(row.text_sha256)
    assert text is not None
    assert text.startswith(agreed["text"])


async def agreed_by_ben(room: Room, pcm: Callable[..., bytes], consent: dict[str, Any]) -> Any:
    """He enrols with that consent; the row of it."""
    async with room.dial(room.server, "/v1/enroll", headers=bearer(room.links["ben"])) as wire:
        await wire.say(type="start", consent=consent)
        await wire.until("ready")
        await wire.sound(pcm("anna", 26.0))
        await wire.until("enrolled")
    (row,) = room.server.context.seats.exams.consents.of(candidate=room.ids["ben"])
    return row


async def test_the_text_counts_in_the_language_in_which_it_was_shown(
    room: Room, pcm: Callable[..., bytes]
) -> None:
    async with room.dial(room.server, "/v1/control") as page:
        await room.ask(page, "ben")
        english = (await page.ask(type="seat"))["consent"]
        shown = (await page.ask(type="seat", languages=["nl-BE", "tr-TR", "de"]))["consent"]
        assert (english["language"], shown["language"]) == ("en", "tr")
        assert {"de", "en", "es", "fr", "it", "ko", "pt", "tr"} <= set(shown["languages"])
        assert english["text_sha256"] != shown["text_sha256"]
        bad = await page.ask(type="seat", languages=["../en"])
        assert bad["code"] == "bad-parameter"
    given = {"given": True, "text_version": shown["text_version"]}
    link = bearer(room.links["ben"])
    for language, sha256 in (("tr", english), ("en", shown), (None, shown), ("xx", shown)):
        consent = given | {"text_sha256": sha256["text_sha256"], "language": language}
        async with room.dial(room.server, "/v1/enroll", headers=link) as wire:
            await wire.say(type="start", consent=consent)
            assert (await wire.until("error"))["code"] == "consent-missing"
    consent = given | {"text_sha256": shown["text_sha256"], "language": "tr"}
    row = await agreed_by_ben(room, pcm, consent)
    consents = room.server.context.seats.exams.consents
    assert (row.language, row.text_sha256) == ("tr", shown["text_sha256"])
    text = consents.text(row.text_sha256)
    assert text is not None
    assert text.startswith(shown["text"])
    assert "Ne oluyor: “Algebra I” " in text


@pytest.mark.parametrize("own", [OWN])
async def test_the_terms_beside_an_own_text_count_in_the_language_of_the_page(
    room: Room, pcm: Callable[..., bytes]
) -> None:
    async with room.dial(room.server, "/v1/control") as page:
        await room.ask(page, "ben")
        shown = (await page.ask(type="seat", languages=["fr-BE", "de"]))["consent"]
    assert (shown["text"], shown["language"]) == ("Akkoord?", "nl")
    assert shown["kept"][0]["what"] == "Votre empreinte vocale est conservée"
    given = {"given": True} | {k: shown[k] for k in ("text_version", "text_sha256", "language")}
    link = bearer(room.links["ben"])
    async with room.dial(room.server, "/v1/enroll", headers=link) as wire:
        await wire.say(type="start", consent=given | {"text_sha256": "0" * 64})
        assert (await wire.until("error"))["code"] == "consent-missing"
    row = await agreed_by_ben(room, pcm, given)
    consents = room.server.context.seats.exams.consents
    assert (row.language, row.text_sha256) == ("nl", shown["text_sha256"])
    assert "Votre empreinte vocale est conservée" in (consents.text(row.text_sha256) or "")


async def test_who_is_deleted_has_no_name_on_a_roster(room: Room) -> None:
    async with room.dial(room.server, "/v1/control", headers=DESK) as desk:
        await desk.ask(type="delete", name="anna")
        anna, ben = (await desk.ask(type="exam-show", exam=room.exam))["roster"]
    assert anna["forgotten"]
    assert (anna["number"], ben["name"]) == ("", "Ben Ode")
    query = {"exam": room.exam, "candidate": room.ids["anna"]}
    async with room.dial(room.server, headers=bearer("phone"), **query) as wire:
        assert (await wire.until("error"))["code"] == "bad-parameter"  # nobody is of that id


async def test_where_no_token_is_needed_a_link_is_still_one_candidate(
    server: Server, dial: Dial, enrol: Callable[..., None]
) -> None:
    """As a page on this machine opens it: by a token in the address, which works once."""
    enrol(server, "anna")
    async with dial(server, "/v1/control") as desk, dial(server, "/v1/control") as page:
        made = await desk.ask(type="exam-create", name="Algebra I", ends_at=time.time() + 3600)
        line = {"candidate": "4711", "name": "Anna Meier", "voiceprint": "anna"}
        await desk.ask(type="roster", exam=made["id"], add=[line])
        link = await desk.ask(type="candidate-link", exam=made["id"], candidate="4711")
        await page.ask(type="authenticate", token=link["token"])
        assert (await page.ask(type="profiles"))["code"] == "unauthorised"
        once = await page.ask(type="url_token", role="stream")
        async with dial(server, token=once["token"], claim="", **START) as wire:
            assert (await wire.until("ready"))["claims"] == ["anna"]
        (stream,) = server.streams.all()
        assert stream.sitting is not None
