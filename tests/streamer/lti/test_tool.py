"""What launches do: attempts, the way back to the platform, and who may see what."""

from __future__ import annotations

import time

import jwt
import pytest
from lti_platform import CLIENT, CORE, DEPLOYMENT, PROCTORING, FakePlatform

from engine import events
from streamer.exams.exam import ACCOMMODATIONS, Entry
from streamer.lti.courier import NEVER, Courier
from streamer.lti.errors import NotThere, Refused
from streamer.lti.tool import SETTLE_S, SITTING_S, Tool, learner_of
from streamer.records.entries import Told
from tests.streamer.lti.conftest import Come, Record


def match(at: float) -> Told:
    decision = events.Decision(
        t=1.0, state="match", speaker="x", since=0.0, llr=5.0, net_speech_s=2.0, reason=""
    )
    return Told(at=at, t=1.0, event=decision)


def test_accommodations_stay_and_other_rules_are_another_exam(fresh: Tool, comes: Come) -> None:
    now = time.time()
    first = fresh.sit(comes(), now)
    candidate = fresh.exams.candidate(first.exam, first.candidate)
    entry = Entry(
        candidate=candidate.candidate, name="Ada Byron", accommodations=ACCOMMODATIONS[:1]
    )
    fresh.exams.add(first.exam, [entry])
    second = fresh.sit(comes(**{PROCTORING + "attempt_number": 2}), now)
    assert fresh.exams.candidate(second.exam, second.candidate).accommodations
    assert not fresh.exams.exam(first.exam).rules.speaking
    speaking = {CORE + "custom": {"expect_speech": "true"}, PROCTORING + "attempt_number": 3}
    third = fresh.sit(comes(**speaking), now)
    assert third.exam != first.exam
    assert fresh.exams.exam(third.exam).rules.speaking


def test_the_assessment_begins_once_the_learner_is_heard(
    heard: Tool, comes: Come, record: Record, there: FakePlatform
) -> None:
    now = time.time()
    attempt = heard.sit(comes(), now)
    sitting = heard.sitting(attempt.id, now)
    assert sitting.begin is None
    assert sitting.address is not None
    token = sitting.address.partition("#")[2]
    assert heard.exams.read(token).candidate == attempt.candidate
    assert heard.exams.read(token).expires_at == int(now + SITTING_S)

    record.hear(attempt, now - 5)  # of an attempt before
    assert heard.sitting(attempt.id, now).begin is None
    record.hear(attempt, now + 5, now + 6)  # which broke off
    assert heard.sitting(attempt.id, now + 7).begin is None
    record.hear(attempt, now + 8)
    begin = heard.sitting(attempt.id, now + 9).begin
    assert begin is not None
    assert begin.url == f"{there.url}/start"
    (public,) = heard.keys.key_set(now + 9)["keys"]
    assert jwt.get_unverified_header(begin.token) == {
        "alg": "RS256", "kid": public["kid"], "typ": "JWT",
    }  # fmt: skip
    claims = jwt.decode(begin.token, jwt.PyJWK(public), ["RS256"], audience=there.url)
    assert claims["iss"] == CLIENT
    again = heard.sitting(attempt.id, now + 9).begin
    assert again is not None
    claims_again = jwt.decode(again.token, options={"verify_signature": False})
    assert claims["nonce"] != claims_again["nonce"]
    assert 0 < claims["exp"] - claims["iat"] <= 3600
    told = {name: value for name, value in claims.items() if name.startswith("https:")}
    assert told == {
        CORE + "message_type": "LtiStartAssessment",
        CORE + "version": "1.3.0",
        CORE + "deployment_id": DEPLOYMENT,
        CORE + "resource_link": {"id": "link-1"},
        PROCTORING + "session_data": "of the session",
        PROCTORING + "attempt_number": 1,
        PROCTORING + "end_assessment_return": True,
    }
    assert heard.book.attempt(attempt.id).heard_at == now + 9


@pytest.mark.parametrize(
    ("enrolled_s", "matched", "verified"),
    [(-60.0, True, True), (-60.0, False, False), (60.0, True, False), (None, True, False)],
)
def test_who_was_enrolled_before_and_matches_is_verified(
    heard: Tool, comes: Come, record: Record, enrolled: dict[str, float],
    enrolled_s: float | None, matched: bool, verified: bool,
) -> None:  # fmt: skip
    now = time.time()
    launch = comes()
    attempt = heard.sit(launch, now)
    if enrolled_s is not None:
        enrolled[learner_of(launch)] = now + enrolled_s
    record.hear(attempt, now + 1)
    record.entries = [match(now + 2)] if matched else []
    begin = heard.sitting(attempt.id, now + 3).begin
    assert begin is not None
    claims = jwt.decode(begin.token, options={"verify_signature": False})
    assert claims.get(PROCTORING + "verified_user") == ({"name": "Ada Byron"} if verified else None)


def test_after_its_end_nobody_is_heard_and_nobody_comes_again(
    heard: Tool, comes: Come, record: Record
) -> None:
    now = time.time()
    attempt = heard.sit(comes(), now)
    record.hear(attempt, now + 1)
    address = heard.sitting(attempt.id, now).address or ""
    before = heard.exams.read(address.partition("#")[2])
    heard.end(comes("LtiEndAssessment"), now + 60)
    sitting = heard.sitting(attempt.id, now + 61)
    assert (sitting.address, sitting.begin) == (None, None)
    assert heard.exams.candidate(attempt.exam, attempt.candidate).link == before.link + 1
    with pytest.raises(Refused, match="over"):
        heard.sit(comes(), now + 62)
    heard.end(comes("LtiEndAssessment"), now + 63)  # once more, as when a page is loaded again
    assert heard.book.attempt(attempt.id).ended_at == now + 60
    heard.end(comes("LtiEndAssessment", sub="nobody"), now)  # who never sat: nothing happens
    with pytest.raises(NotThere):
        heard.sitting("another", now)


def test_an_attempt_without_an_end_is_over_by_itself(heard: Tool, comes: Come) -> None:
    now = time.time()
    attempt = heard.sit(comes(), now)
    assert heard.sitting(attempt.id, now + SITTING_S + 1).address is None
    with pytest.raises(Refused, match="over"):
        heard.sit(comes(), now + SITTING_S + 1)


@pytest.mark.parametrize("gone", ["exam", "candidate"])
def test_where_the_exam_or_the_learner_is_gone_there_is_no_way_in(
    heard: Tool, comes: Come, record: Record, gone: str
) -> None:
    now = time.time()
    attempt = heard.sit(comes(), now)
    record.hear(attempt, now + 1)
    if gone == "exam":
        heard.exams.end(attempt.exam, now)
    else:
        heard.exams.forget(heard.exams.candidate(attempt.exam, attempt.candidate), "desk", now)
    sitting = heard.sitting(attempt.id, now + 2)
    assert (sitting.address, sitting.begin) == (None, None)


def test_what_was_told_of_a_learner_is_sealed_and_goes(
    heard: Tool, comes: Come, courier: Courier
) -> None:
    now = time.time()
    attempt = heard.sit(comes(), now)
    with heard.book.engine.connect() as connection:
        rows = str(connection.exec_driver_sql("SELECT * FROM lti_attempts").all())
        rows += str(connection.exec_driver_sql("SELECT * FROM lti_exams").all())
    for hidden in ("user-17", "Ada", "of the session"):
        assert hidden not in rows
    heard.end(comes("LtiEndAssessment"), now + 60)
    courier.deliver(now + 61)
    assert heard.book.attempt(attempt.id).launch is not None
    courier.deliver(now + 60 + SETTLE_S)
    over = heard.book.attempt(attempt.id)
    assert (over.launch, over.next_at) == (None, NEVER)


def test_nothing_is_kept_again_of_a_learner_who_was_deleted(
    heard: Tool, comes: Come, courier: Courier
) -> None:
    now = time.time()
    attempt = heard.sit(comes(), now)
    heard.exams.forget(heard.exams.candidate(attempt.exam, attempt.candidate), "desk", now)
    heard.book.look_at(attempt.candidate, now + 1)
    courier.deliver(now + 1)
    with pytest.raises(Refused, match="over"):
        heard.sit(comes(), now + 2)
    assert heard.book.attempt(attempt.id).launch is None
