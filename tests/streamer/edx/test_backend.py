"""What requests of Open edX do to exams, rosters and attempts, and what they are answered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamer.edx.backend import LINK_S, SETUP_S, Backend, learner_of
from streamer.edx.client import Visit
from streamer.edx.errors import BadRequest, NotThere
from streamer.exams.book import Exams
from streamer.exams.exam import Entry
from streamer.store.folder_lock import FolderLock
from streamer.store.profile import clean_name

NOW = 1_700_000_000.0
CLIENT, LEARNER = "campus", "ab" * 20
EXAM = {"id": 7, "course_id": "course-v1:X+Y+1", "exam_name": "Oral", "time_limit_mins": 30,
        "due_date": None, "is_practice_exam": False, "backend": "voxwatch"}  # fmt: skip
CREATED = {"user_id": LEARNER, "full_name": "Ada Byron", "email": "ada@x.example",
           "time_limit_mins": 30, "is_sample_attempt": False, "status": "created"}  # fmt: skip


def body(content: Any, **more: Any) -> bytes:
    return json.dumps(content | more).encode()


@pytest.fixture
def exam(backend: Backend) -> str:
    return str(backend.save_exam(body(EXAM), None)["id"])


def attempt(backend: Backend, exam: str, now: float = NOW, **more: Any) -> str:
    return str(backend.create_attempt(body(CREATED, **more), exam, now)["id"])


def change(backend: Backend, exam: str, id: str, status: str, now: float = NOW) -> Any:
    return backend.change_attempt(body({"status": status}), exam, id, now)


def test_an_exam_is_made_and_changed(backend: Backend, exam: str) -> None:
    assert backend.exam(exam)["rules"] == {"expect_speech": False}
    saved = body(EXAM, exam_name="Written", is_active=False, rules={"expect_speech": True})
    assert backend.save_exam(saved, exam)["id"] == exam
    told = backend.exam(exam)
    assert (told["name"], told["is_active"]) == ("Written", False)
    assert told["rules"] == {"expect_speech": True}


def test_an_exam_that_is_not_known_any_more_is_new(backend: Backend, exam: str) -> None:
    again = backend.save_exam(body(EXAM), "nothing")["id"]
    assert again not in ("nothing", exam)
    assert backend.exam(again)["name"] == "Oral"
    with pytest.raises(NotThere):
        backend.exam("nothing")


def test_a_learner_is_put_on_the_roster_of_an_exam_of_ours(
    backend: Backend, exams: Exams, exam: str
) -> None:
    found = backend.book.attempt(exam, attempt(backend, exam))
    assert found.status == "created"
    (ours,) = exams.exams()
    assert ours.name == "Oral"
    assert not ours.rules.speaking
    (candidate,) = exams.roster(ours.id)
    known_by = learner_of(CLIENT, LEARNER)
    assert (candidate.candidate, candidate.voiceprint) == (known_by, known_by)
    assert (candidate.name, candidate.id) == ("Ada Byron", found.candidate)


def test_another_attempt_is_in_the_same_line_and_another_learner_in_the_same_exam(
    backend: Backend, exams: Exams, exam: str
) -> None:
    first, second = (backend.book.attempt(exam, attempt(backend, exam)) for _ in "12")
    other = backend.book.attempt(exam, attempt(backend, exam, user_id="cd" * 20))
    assert first.id != second.id
    assert (first.exam, first.candidate) == (second.exam, second.candidate)
    assert other.exam == first.exam
    assert len(exams.roster(first.exam)) == 2


def test_an_exam_without_an_end_goes_on_in_another_of_ours(
    backend: Backend, exams: Exams, exam: str
) -> None:
    day_s = 86_400.0
    found = [
        backend.book.attempt(exam, attempt(backend, exam, NOW + days * day_s))
        for days in (0, 30, 31)
    ]
    assert found[0].exam == found[1].exam != found[2].exam
    assert len(exams.exams()) == 2
    exams.end(found[2].exam, NOW)
    again = backend.book.attempt(exam, attempt(backend, exam, NOW + 31 * day_s))
    assert again.exam not in {one.exam for one in found}


def test_other_rules_are_another_exam_of_ours(backend: Backend, exams: Exams, exam: str) -> None:
    first = backend.book.attempt(exam, attempt(backend, exam))
    backend.save_exam(body(EXAM, rules={"expect_speech": True}), exam)
    second = backend.book.attempt(exam, attempt(backend, exam))
    assert exams.exam(second.exam).rules.speaking
    assert not exams.exam(first.exam).rules.speaking


def test_a_due_date_ends_it_but_leaves_whoever_began_their_time(
    backend: Backend, exams: Exams
) -> None:
    due = "2023-11-15T00:00:00Z"  # two hours after NOW
    exam = str(backend.save_exam(body(EXAM, due_date=due), None)["id"])
    first = exams.exam(backend.book.attempt(exam, attempt(backend, exam)).exam)
    assert first.ends_at == 1_700_006_400
    late = exams.exam(backend.book.attempt(exam, attempt(backend, exam, NOW + 6000)).exam)
    assert late.ends_at == NOW + 6000 + 1800 + SETUP_S


def test_the_instructions_send_the_learner_to_their_link(
    backend: Backend, exams: Exams, exam: str
) -> None:
    id = attempt(backend, exam)
    told = backend.attempt(exam, id, NOW)
    assert told["status"] == "created"
    address, token = told["download_url"].split("#")
    assert address == "https://voice.example/candidate"
    assert told["download_url"] in told["instructions"][0]
    seat = exams.read(token)
    assert seat.candidate == backend.book.attempt(exam, id).candidate
    assert seat.expires_at == NOW + 1800 + SETUP_S + LINK_S


def test_a_learner_finds_their_link_while_somebody_else_writes(
    backend: Backend, exams: Exams, exam: str, tmp_path: Path
) -> None:
    id = attempt(backend, exam)
    first = backend.attempt(exam, id, NOW)
    exams._vault._folder_lock._busy_s = 0.05
    with FolderLock(tmp_path, 1.0).held():
        for later in (5, 3600):  # near what is noted, and not
            told = backend.attempt(exam, id, NOW + later)
            seat = exams.read(told["download_url"].split("#")[1])
            assert seat.expires_at == NOW + later + 1800 + SETUP_S + LINK_S
            assert first["download_url"] != told["download_url"]


def test_an_attempt_goes_through_its_states_and_may_be_told_twice(
    backend: Backend, exam: str
) -> None:
    id = attempt(backend, exam)
    for now, status in enumerate(["started", "started", "submitted", "submitted", "error"]):
        assert change(backend, exam, id, status, NOW + now)["status"] == status
    found = backend.book.attempt(exam, id)
    assert (found.started_at, found.ended_at) == (NOW, NOW + 4)
    assert backend.attempt(exam, id, NOW)["instructions"] == []
    for status in ("started", "submitted", "verified"):
        with pytest.raises(BadRequest):
            change(backend, exam, id, status)


def test_a_deleted_attempt_is_gone_and_its_link_holds_no_more(
    backend: Backend, exams: Exams, exam: str
) -> None:
    id = attempt(backend, exam)
    found = backend.book.attempt(exam, id)
    before = exams.candidate(found.exam, found.candidate).link
    assert backend.delete_attempt(exam, id) == {"status": "deleted"}
    assert exams.candidate(found.exam, found.candidate).link == before + 1
    for call in (backend.delete_attempt, backend.book.attempt):
        with pytest.raises(NotThere):
            call(exam, id)


def test_accommodations_that_somebody_gave_stay(backend: Backend, exams: Exams, exam: str) -> None:
    found = backend.book.attempt(exam, attempt(backend, exam))
    (line,) = exams.roster(found.exam)
    entry = Entry(candidate=line.candidate, name="Ada", accommodations=("stutter",))
    exams.add(found.exam, [entry])
    attempt(backend, exam)
    (line,) = exams.roster(found.exam)
    assert (line.name, line.accommodations) == ("Ada Byron", ("stutter",))


def test_whoever_has_no_voiceprint_is_sent_to_the_practice_exam_where_that_is_set(
    backend: Backend, known: set[str], exam: str
) -> None:
    strict = replace(backend, onboarding=True)
    assert strict.create_attempt(body(CREATED), exam, NOW) == {"status": "onboarding_missing"}
    assert "id" in strict.create_attempt(body(CREATED, is_sample_attempt=True), exam, NOW)
    known.add(learner_of(CLIENT, LEARNER))
    assert "id" in strict.create_attempt(body(CREATED), exam, NOW)


def test_a_visit_sees_its_course_or_its_exam_alone(backend: Backend, exam: str) -> None:
    other = str(backend.save_exam(body(EXAM, id=8, exam_name="Two"), None)["id"])
    course = EXAM["course_id"]
    for visit, seen in (
        (Visit(course=str(course)), {exam, other}),
        (Visit(course=str(course), exam=exam), {exam}),
        (Visit(course="another"), set()),
        (Visit(course="another", exam=exam), set()),
    ):
        for id in (exam, other):
            if id in seen:
                assert backend.seen(visit, id).id == id
            else:
                with pytest.raises(NotThere):
                    backend.seen(visit, id)


def test_a_visit_of_one_attempt_sees_no_other(backend: Backend, exam: str) -> None:
    visit = Visit(course=str(EXAM["course_id"]), exam=exam, attempt="one")
    assert backend.seen(visit, exam, "one").id == exam
    for other in ("two", None):  # another attempt, and the list of all
        with pytest.raises(NotThere):
            backend.seen(visit, exam, other)


def test_a_learner_who_was_forgotten_has_no_name(backend: Backend, exams: Exams, exam: str) -> None:
    found = backend.book.attempt(exam, attempt(backend, exam))
    assert backend.name(found) == "Ada Byron"
    exams.forget(exams.candidate(found.exam, found.candidate), "test", NOW)
    assert backend.name(found) == f"(deleted {found.candidate[:8]})"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"user_id": 1}', body(CREATED, time_limit_mins=1e9),
     body(CREATED, time_limit_mins=-1), body(CREATED, is_sample_attempt="x")],
)  # fmt: skip
def test_what_is_not_as_the_api_says_is_refused(
    backend: Backend, exam: str, content: bytes
) -> None:
    with pytest.raises(BadRequest) as caught:
        backend.create_attempt(content, exam, NOW)
    assert "Ada" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "\n", " ", "A" * 200, "Ünal \u202e B\x00"])
def test_any_name_can_be_on_a_roster(backend: Backend, exams: Exams, exam: str, name: str) -> None:
    found = backend.book.attempt(exam, attempt(backend, exam, full_name=name))
    assert exams.candidate(found.exam, found.candidate).name.isprintable()


def test_no_number_of_a_learner_is_the_name_of_somebody_enrolled_otherwise() -> None:
    """Else whoever has the client's secret could claim them, or delete them as retired."""
    asked = ["alice", "a/b", "a" * 64, "a" * 65, "ß", "\ud800"]
    named = [learner_of(client, user) for client in (CLIENT, "other") for user in asked]
    assert len(set(named)) == len(named)
    assert not set(named) & set(asked)
    assert all(clean_name(name) == name for name in named)
    with pytest.raises(NotThere):
        learner_of(CLIENT, " ")


def test_a_link_is_used_once(backend: Backend) -> None:
    assert backend.book.use_link("1", NOW + 60, NOW)
    assert not backend.book.use_link("1", NOW + 60, NOW + 59)
    assert backend.book.use_link("1", NOW + 120, NOW + 61)  # it would have expired
