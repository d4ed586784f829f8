"""What is kept of attempts and keys, in SQLite and in PostgreSQL."""

from __future__ import annotations

import time

import pytest
from lti_platform import CORE, PROCTORING

from streamer.lti.book import LtiBook
from streamer.lti.errors import LtiError, NotThere
from streamer.lti.keys import KEPT_S, PUBLISHED_S, OwnKeys
from streamer.lti.tool import Tool, learner_of
from streamer.records.signing import Secret
from tests.streamer.lti.conftest import Come


@pytest.fixture
def url(database_url: str | None) -> str | None:
    return database_url


def test_a_learner_is_one_candidate_of_one_exam(fresh: Tool, comes: Come) -> None:
    now = time.time()
    first = fresh.sit(comes(), now)
    again = fresh.sit(comes(**{PROCTORING + "session_data": "anew"}), now + 5)
    assert again.id == first.id
    assert again.launch is not None
    assert again.launch.session == "anew"
    other = fresh.sit(comes(sub="user-18", name=None), now)
    assert other.exam == first.exam
    next_ = fresh.sit(comes(**{PROCTORING + "attempt_number": 2}), now)
    assert (next_.id != first.id, next_.candidate) == (True, first.candidate)
    roster = fresh.exams.roster(first.exam)
    launch = comes()
    assert roster[0].candidate == learner_of(launch)
    assert [one.name for one in roster] == ["Ada Byron", f"Learner {roster[1].candidate[-8:]}"]
    assert "user-17" not in repr(roster)
    elsewhere = fresh.sit(comes(**{CORE + "resource_link": {"id": "link-2"}}), now)
    assert elsewhere.exam != first.exam


def test_a_new_key_is_known_before_it_signs(fresh: Tool) -> None:
    keys, now = OwnKeys(fresh.book), 1_800_000_000.0
    first = keys.signing(now)
    assert keys.signing(now + 1) == first
    second = keys.rotate(now)
    both = {first.id, second.id}

    def told(at: float) -> set[str]:
        return {one["kid"] for one in keys.key_set(at)["keys"]}

    assert told(now) == both
    assert keys.signing(now + PUBLISHED_S - 1).id == first.id
    assert keys.signing(now + PUBLISHED_S).id == second.id
    assert told(now + PUBLISHED_S + KEPT_S - 1) == both
    assert told(now + PUBLISHED_S + KEPT_S) == {second.id}
    third = keys.rotate(now, at_once=True)
    assert told(now) == {third.id}
    assert keys.signing(now).id == third.id
    for key in keys.key_set(now)["keys"]:
        assert set(key) == {"kid", "kty", "n", "e", "alg", "use"}  # nothing of the private half


def test_the_private_key_lies_sealed(fresh: Tool) -> None:
    key = fresh.keys.signing(time.time())
    with fresh.book.engine.connect() as connection:
        (row,) = connection.exec_driver_sql("SELECT * FROM lti_keys").all()
    assert key.private.encode()[40:80] not in b"".join(
        bytes(one) if isinstance(one, bytes | memoryview) else str(one).encode() for one in row
    )


def test_teachers_see_their_own_course(fresh: Tool, comes: Come) -> None:
    attempt = fresh.sit(comes(), time.time())
    own = comes("LtiResourceLinkRequest").place
    (exam,) = fresh.book.seen_from(own)
    assert fresh.seen_attempt(own, exam.id, attempt.id) == fresh.book.attempt(attempt.id)
    assert fresh.name(attempt) == "Ada Byron"
    other = comes("LtiResourceLinkRequest", **{CORE + "context": {"id": "course-2"}}).place
    assert fresh.book.seen_from(other) == []
    with pytest.raises(NotThere):
        fresh.seen(other, exam.id)
    with pytest.raises(NotThere):
        fresh.seen_attempt(other, exam.id, attempt.id)
    # Without a course, it is the link alone.
    link = comes("LtiResourceLinkRequest", **{CORE + "context": None}).place
    assert [one.id for one in fresh.book.seen_from(link)] == [exam.id]


def test_another_key_of_the_store_opens_what_was_sealed_before(fresh: Tool) -> None:
    secret, new = fresh.record.journal.secret, bytes(32)
    key = fresh.keys.signing(time.time())
    again = Secret.opened(secret.sealed(new), new)
    assert OwnKeys(LtiBook(fresh.book.engine, again)).signing(time.time()) == key
    stranger = OwnKeys(LtiBook(fresh.book.engine, Secret.new()))
    with pytest.raises(LtiError, match="rotate"):
        stranger.signing(time.time())
