"""Open edX is told once what there is to tell, later if it cannot be now, and anew if judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from engine import events
from streamer.edx.backend import Backend
from streamer.edx.book import Attempt
from streamer.edx.courier import (
    AGAIN_S,
    AWAITED_S,
    LAST_RETRY_S,
    LONGEST_AGAIN_S,
    LONGEST_LOOK_S,
    LOOK_S,
    REVIEWED_S,
    SETTLE_S,
    Courier,
)
from streamer.edx.lms import LmsError
from streamer.edx.payloads import ExamSaved
from streamer.records.book import StreamFacts
from streamer.records.entries import Acted, AnyEntry, Told
from streamer.records.errors import RecordError

NOW = 1_700_000_000.0
END = NOW + 600.0
MATCH = Told(
    at=NOW + 20, t=1.0,
    event=events.Decision(
        t=1.0, state="match", speaker=None, since=0.0, llr=None, net_speech_s=2.0, reason="",
        evidence=None, accept_llr=1.0, reject_llr=-1.0, false_accept=0.01, voice=None,
    ),
)  # fmt: skip


class Record:
    """What is recorded, as the courier reads it."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[StreamFacts, list[AnyEntry]]] = {}

    def hear(self, since: float, until: float | None, *entries: AnyEntry) -> str:
        stream = f"{len(self.kept):016x}"
        facts = StreamFacts(
            stream=stream, label="", exam="e1", candidate="ab" * 16, started_at=since,
            ended_at=until, people=(), entries=len(entries), held_by=None,
        )  # fmt: skip
        self.kept[stream] = (facts, list(entries))
        return stream

    def streams(self, exam: str, person: str) -> list[StreamFacts]:
        assert (exam, person) == ("e1", "ab" * 16)
        return [facts for facts, _ in self.kept.values()]

    def history(self, stream: str) -> list[AnyEntry]:
        return self.kept[stream][1]


@dataclass
class Lms:
    """Open edX, which may refuse."""

    told: list[tuple[str, Any]] = field(default_factory=list)
    refusal: LmsError | None = None

    def _take(self, *said: Any) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.told.append((said[0], said[1]))

    def ready(self, attempt: str, now: float) -> None:
        self._take("ready", attempt)

    def reviewed(self, attempt: str, review: Any, now: float) -> None:
        self._take("reviewed", review.status)


@pytest.fixture
def record() -> Record:
    return Record()


@pytest.fixture
def lms() -> Lms:
    return Lms()


@pytest.fixture
def courier(backend: Backend, record: Record, lms: Lms) -> Courier:
    return Courier(backend.book, record, lambda stream: [], lms)


@pytest.fixture
def exam(backend: Backend) -> str:
    return backend.book.save(ExamSaved(id=1, course_id="C"), None).id


def attempt(backend: Backend, exam: str, **more: Any) -> Attempt:
    made = Attempt(
        id="a1", edx_exam=exam, exam="e1", candidate="ab" * 16, limit_s=600.0, created_at=NOW,
        status="submitted" if "ended_at" in more else "created", next_at=NOW, **more,
    )  # fmt: skip
    backend.book.add(made)
    return made


def test_a_learner_who_is_heard_is_ready_once(
    backend: Backend, record: Record, lms: Lms, courier: Courier, exam: str
) -> None:
    attempt(backend, exam)
    record.hear(NOW - 100, NOW - 50)  # of an attempt before
    courier.deliver(NOW)
    assert not lms.told
    record.hear(NOW + 5, None)
    for second in range(6, 60):
        courier.deliver(NOW + second)
    assert lms.told == [("ready", "a1")]


def test_a_learner_who_does_not_come_is_looked_for_ever_more_seldom(
    backend: Backend, record: Record, lms: Lms, courier: Courier, exam: str
) -> None:
    attempt(backend, exam)
    now, looks = NOW, 0
    while now < NOW + AWAITED_S:
        courier.deliver(now)
        (found,) = backend.book.attempts(exam)
        assert now + LOOK_S <= found.next_at <= now + LONGEST_LOOK_S
        looks, now = looks + 1, now + (LOOK_S if now < NOW + 60 else 86_400.0)
    assert looks < 70
    courier.deliver(now)
    assert not backend.book.due(now + AWAITED_S)


def test_a_judgement_is_looked_for_ever_more_seldom(
    backend: Backend, record: Record, courier: Courier, exam: str
) -> None:
    attempt(backend, exam, ended_at=END)
    record.hear(NOW + 5, END, MATCH)
    waits = []
    for age_s in (SETTLE_S, 3600.0, 86_400.0, 20 * 86_400.0):
        courier.deliver(END + age_s)
        (found,) = backend.book.attempts(exam)
        waits.append(found.next_at - END - age_s)
    assert waits == pytest.approx([AGAIN_S, AGAIN_S, 864.0, LONGEST_AGAIN_S])


def test_a_record_that_cannot_be_read_keeps_no_other_attempt_waiting(
    backend: Backend, record: Record, lms: Lms, courier: Courier, exam: str
) -> None:
    made = attempt(backend, exam, ended_at=END)
    backend.book.add(msgspec.structs.replace(made, id="a2", created_at=NOW + 1))
    record.hear(NOW + 5, END, MATCH)
    history, broken = record.history, [True]

    def damaged(stream: str) -> list[AnyEntry]:
        if broken:
            broken.pop()
            raise RecordError("an entry cannot be read")
        return history(stream)

    record.history = damaged
    courier.deliver(END + SETTLE_S)
    assert lms.told == [("reviewed", "passed")]
    courier.deliver(END + SETTLE_S + 10)
    assert lms.told == [("reviewed", "passed")] * 2


def test_an_attempt_is_reviewed_once_when_the_record_has_settled(
    backend: Backend, record: Record, lms: Lms, courier: Courier, exam: str
) -> None:
    attempt(backend, exam, ended_at=END)
    record.hear(NOW + 5, None, MATCH)
    courier.deliver(END + SETTLE_S - 1)
    assert not lms.told
    for minute in range(10):
        courier.deliver(END + SETTLE_S + minute * AGAIN_S)
    assert lms.told == [("reviewed", "passed")]


def test_a_verdict_is_told_when_it_is_given_and_when_it_is_another(
    backend: Backend, record: Record, lms: Lms, courier: Courier, exam: str
) -> None:
    attempt(backend, exam, ended_at=END)
    stream = record.hear(NOW + 5, END, MATCH)
    courier.deliver(END + SETTLE_S)
    for day, verdict in enumerate(("violation", "violation", "cleared"), start=1):
        now = END + day * 86_400.0
        facts, entries = record.kept[stream]
        said: Any = Acted(at=now, t=0.0, who="desk", act="verdict", verdict=verdict)
        entries.append(said)
        record.kept[stream] = (_with(facts, len(entries)), entries)
        courier.deliver(now)
        courier.deliver(now + AGAIN_S)
    statuses = [status for _, status in lms.told]
    assert statuses == ["passed", "suspicious", "passed"]
    courier.deliver(END + REVIEWED_S + 1)
    assert not backend.book.due(END + 10 * REVIEWED_S)


def _with(facts: StreamFacts, entries: int) -> StreamFacts:
    return msgspec.structs.replace(facts, entries=entries)


def test_who_was_never_heard_is_not_reviewed(
    backend: Backend, lms: Lms, courier: Courier, exam: str
) -> None:
    attempt(backend, exam, ended_at=END)
    courier.deliver(END + SETTLE_S)
    assert lms.told == [("reviewed", "not_reviewed")]


def test_what_is_not_taken_is_told_again_ever_later(
    backend: Backend, record: Record, lms: Lms, courier: Courier, exam: str
) -> None:
    attempt(backend, exam, ended_at=END)
    record.hear(NOW + 5, END, MATCH)
    lms.refusal = LmsError("away")
    now, waits = END + SETTLE_S, []
    for _ in range(14):
        courier.deliver(now)
        (found,) = backend.book.attempts(exam)
        waits.append(found.next_at - now)
        now = found.next_at
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (4.0, LAST_RETRY_S)
    lms.refusal = None
    courier.deliver(now)
    assert lms.told == [("reviewed", "passed")]


def test_what_is_refused_for_good_is_told_no_more(
    backend: Backend, lms: Lms, courier: Courier, exam: str
) -> None:
    attempt(backend, exam, ended_at=END)
    lms.refusal = LmsError("no such attempt", final=True)
    courier.deliver(END + SETTLE_S)
    assert not backend.book.due(END + 10 * REVIEWED_S)


def test_an_attempt_that_ends_while_open_edx_answers_is_not_forgotten(
    backend: Backend, record: Record, lms: Lms, courier: Courier, exam: str
) -> None:
    made = attempt(backend, exam)
    record.hear(NOW + 5, None, MATCH)
    ready = lms.ready

    def slow(attempt: str, now: float) -> None:
        ready(attempt, now)
        backend.book.change(made, status="submitted", ended_at=END, next_at=END)

    lms.ready = slow
    courier.deliver(NOW + 6)
    courier.deliver(END + SETTLE_S)
    assert lms.told == [("ready", "a1"), ("reviewed", "passed")]
