"""What launches do: attempts, the way back to the platform, flags, and who may see what."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import jwt
import pytest
from lti_platform import CLIENT, CORE, DEPLOYMENT, PROCTORING, FakePlatform

from engine import events
from streamer.exams.exam import ACCOMMODATIONS, Entry
from streamer.lti.book import Attempt
from streamer.lti.control import ControlService
from streamer.lti.courier import FIRST_RETRY_S, GIVEN_UP_S, NEVER, Courier
from streamer.lti.errors import NotThere, Refused
from streamer.lti.http import Session
from streamer.lti.messages import Launch
from streamer.lti.tool import SETTLE_S, SITTING_S, Tool, learner_of
from streamer.records.book import Book, StreamFacts
from streamer.records.entries import AnyEntry, Told
from streamer.wire.messages import Incident

Come = Callable[..., Launch]


@dataclass
class Record:
    """What is recorded, as the tool reads it."""

    kept: list[StreamFacts] = field(default_factory=list)
    entries: list[AnyEntry] = field(default_factory=list)
    found: list[Incident] = field(default_factory=list)

    def hear(self, attempt: Attempt, since: float, until: float | None = None) -> None:
        made = StreamFacts(
            stream="s", label="", exam=attempt.exam, candidate=attempt.candidate, started_at=since,
            ended_at=until, people=(), entries=1, held_by=None,
        )  # fmt: skip
        self.kept.append(made)

    def streams(self, exam: str, person: str) -> list[StreamFacts]:
        return [one for one in self.kept if (one.exam, one.candidate) == (exam, person)]

    def history(self, stream: str) -> list[AnyEntry]:
        return self.entries

    def incidents(self, stream: str) -> list[Incident]:
        return self.found


def match(at: float) -> Told:
    decision = events.Decision(
        t=1.0, state="match", speaker="x", since=0.0, llr=5.0, net_speech_s=2.0, reason=""
    )
    return Told(at=at, t=1.0, event=decision)


def incident(kind: Any, at: float, number: int = 1, **more: Any) -> Incident:
    reason = "another voice than the expected one speaks (evidence -3.2, the bound is -3.0)"
    return Incident(
        t=1.0, id=f"s/{number}", kind=kind, since=1.0, since_at=at, reason=reason, severity=1,
        **more,
    )  # fmt: skip


def taken_over(tool: Tool, record: Record, launch: Launch, now: float) -> Attempt:
    """An attempt in which somebody else speaks 2 s after ``now``; it is looked at 1 s later."""
    attempt = tool.sit(launch, now)
    record.hear(attempt, now + 1)
    record.found = [incident("takeover", now + 2)]
    tool.book.look_at(attempt.candidate, now + 3)
    return attempt


@pytest.fixture
def record() -> Record:
    return Record()


@pytest.fixture
def heard(fresh: Tool, record: Record) -> Tool:
    """The tool, with a record that tests write."""
    return replace(fresh, record=cast("Book", record))


@pytest.fixture
def courier(heard: Tool, record: Record) -> Courier:
    return Courier(heard, ControlService(Session()), record.incidents)


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


# Flags.


def test_incidents_are_flagged_once_and_nothing_else_is_asked(
    heard: Tool, comes: Come, courier: Courier, record: Record, there: FakePlatform
) -> None:
    there.flags.clear()
    now = time.time()
    attempt = heard.sit(comes(), now)
    record.hear(attempt, now + 1)
    record.found = [
        incident("takeover", now + 30.4, 1),
        incident("silent", now + 31, 2),  # nobody else spoke
        incident("mismatch", now + 32, 3, note_only=True),  # an accommodation explains it
        incident("mismatch", now - 32, 4),  # of an attempt before
    ]
    courier.deliver(now + 40)
    assert not there.flags  # nobody has said that there is something
    heard.book.look_at(attempt.candidate, now + 40)
    courier.deliver(now + 40)
    (flag,) = there.flags
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + 30.4))
    assert flag == {
        "user": {"iss": there.url, "sub": "user-17"},
        "resource_link": {"id": "link-1"},
        "attempt_number": 1,
        "action": "flag",
        "incident_time": moment,
        "incident_severity": "0.9",
        "reason_code": "takeover",
        "reason_msg": "another voice than the expected one speaks",
    }
    headers = there.headers[-1]
    assert headers["Authorization"] == "Bearer of the service"
    assert headers["Content-Type"] == "application/vnd.ims.lti-ap.v1.control+json"
    (public,) = heard.keys.key_set(now)["keys"]
    asserted = jwt.decode(
        there.tokens[-1], jwt.PyJWK(public), ["RS256"], audience=f"{there.url}/token"
    )
    assert (asserted["iss"], asserted["sub"]) == (CLIENT, CLIENT)

    record.found.append(incident("overlap", now + 50, 5))
    heard.book.look_at(attempt.candidate, now + 60)
    courier.deliver(now + 60)
    courier.deliver(now + 61)
    assert [one["reason_code"] for one in there.flags] == ["takeover", "overlap"]


def test_an_incident_during_a_look_is_flagged_by_the_next(
    heard: Tool, comes: Come, record: Record, there: FakePlatform
) -> None:
    there.flags.clear()
    now = time.time()
    attempt = heard.sit(comes(), now)
    record.hear(attempt, now + 1)

    def read_while_another_comes(stream: str) -> list[Incident]:
        known = list(record.found)
        if len(known) == 1:
            record.found.append(incident("overlap", now + 30, 2))
            heard.book.look_at(attempt.candidate, now + 34)
        return known

    record.found = [incident("takeover", now + 29, 1)]
    courier = Courier(heard, ControlService(Session()), read_while_another_comes)
    heard.book.look_at(attempt.candidate, now + 32)
    courier.deliver(now + 32)
    courier.deliver(now + 34)
    assert [one["reason_code"] for one in there.flags] == ["takeover", "overlap"]


@pytest.mark.parametrize("status", [200, 500])
def test_an_end_during_a_look_holds(
    heard: Tool, comes: Come, record: Record, there: FakePlatform, status: int
) -> None:
    there.flags.clear()
    now = time.time()
    attempt = heard.sit(comes(), now)
    record.hear(attempt, now + 1)
    end = comes("LtiEndAssessment")

    def read_while_it_ends(stream: str) -> list[Incident]:
        heard.end(end, now + 33)
        return [incident("takeover", now + 29)]

    courier = Courier(heard, ControlService(Session()), read_while_it_ends)
    heard.book.look_at(attempt.candidate, now + 32)
    if status != 200:
        there.answers[:] = [status]
    courier.deliver(now + 32)
    assert heard.book.attempt(attempt.id).next_at == now + 33 + SETTLE_S
    courier.deliver(now + 33 + SETTLE_S)
    assert [one["reason_code"] for one in there.flags] == ["takeover"]
    assert heard.book.attempt(attempt.id).launch is None


def test_what_was_written_last_is_flagged_after_the_end(
    heard: Tool, comes: Come, courier: Courier, record: Record, there: FakePlatform
) -> None:
    there.flags.clear()
    now = time.time()
    attempt = heard.sit(comes(), now)
    record.hear(attempt, now + 1, now + 60)
    heard.end(comes("LtiEndAssessment"), now + 60)
    record.found = [incident("tampering", now + 59, 1), incident("takeover", now + 61, 2)]
    courier.deliver(now + 60 + SETTLE_S)
    assert [one["reason_code"] for one in there.flags] == ["tampering"]


def test_who_knows_no_type_but_json_is_sent_json(
    heard: Tool, comes: Come, courier: Courier, record: Record, there: FakePlatform
) -> None:
    there.flags.clear()
    now = time.time()
    taken_over(heard, record, comes(), now)
    there.answers[:] = [415]
    courier.deliver(now + 3)
    assert len(there.flags) == 1
    assert there.headers[-1]["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_flag_is_told_again_until_it_is_taken(
    heard: Tool, comes: Come, courier: Courier, record: Record, there: FakePlatform, status: int
) -> None:
    there.flags.clear()
    now = time.time()
    attempt = taken_over(heard, record, comes(), now)
    there.answers[:] = [status]
    courier.deliver(now + 3)
    assert heard.book.attempt(attempt.id).next_at == now + 3 + FIRST_RETRY_S
    courier.deliver(now + 4)
    assert not there.flags
    courier.deliver(now + 3 + FIRST_RETRY_S)
    assert len(there.flags) == 1
    assert heard.book.attempt(attempt.id).tries == 0


def test_a_platform_that_takes_no_flags_is_left_alone_at_last(
    heard: Tool, comes: Come, courier: Courier, record: Record, there: FakePlatform
) -> None:
    there.flags.clear()
    now = time.time()
    attempt = heard.sit(comes(), now)
    record.hear(attempt, now + 1)
    record.found = [incident("takeover", now + 2, 1), incident("overlap", now + 3, 2)]
    heard.book.look_at(attempt.candidate, now + 3)
    there.answers[:] = [404]  # of this one it will never want to know
    courier.deliver(now + 3)
    assert [one["reason_code"] for one in there.flags] == ["overlap"]
    record.found.append(incident("overlap", now + 4, 3))
    heard.end(comes("LtiEndAssessment"), now + 60)
    there.answers[:] = [500]
    courier.deliver(now + 60 + SETTLE_S)
    assert heard.book.attempt(attempt.id).launch is not None
    there.answers[:] = [500]
    courier.deliver(now + 61 + GIVEN_UP_S)
    assert heard.book.attempt(attempt.id).launch is None


@pytest.mark.parametrize("acs", [None, {"actions": ["terminate", "pause"]}, {"actions": "flag"}])
def test_a_platform_that_wants_no_flags_gets_none(
    heard: Tool, comes: Come, courier: Courier, record: Record, there: FakePlatform, acs: Any
) -> None:
    there.flags.clear()
    now = time.time()
    if acs is not None:
        acs = acs | {"assessment_control_url": f"{there.url}/acs"}
    attempt = taken_over(heard, record, comes(**{PROCTORING + "acs": acs}), now)
    courier.deliver(now + 3)
    assert not there.flags
    heard.exams.forget(heard.exams.candidate(attempt.exam, attempt.candidate), "desk", now)
    heard.book.look_at(attempt.candidate, now + 4)
    courier.deliver(now + 4)
    assert heard.book.attempt(attempt.id).launch is None  # who is forgotten is forgotten here
