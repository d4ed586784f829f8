"""What is sent to platforms after the fact: flags of incidents, once each, until they are taken."""

from __future__ import annotations

import time
from typing import Any

import jwt
import msgspec
import pytest
from lti_platform import CLIENT, PROCTORING, FakePlatform

from streamer.lti.book import Attempt
from streamer.lti.control import ControlService
from streamer.lti.courier import FIRST_RETRY_S, GIVEN_UP_S, Courier
from streamer.lti.http import Session
from streamer.lti.messages import Launch
from streamer.lti.tool import SETTLE_S, Tool
from streamer.wire.incidents import Incident, IncidentKind
from tests.streamer.lti.conftest import Come, Record


@pytest.fixture(autouse=True)
def unflagged(there: FakePlatform) -> None:
    """The platform without the flags of the test before."""
    there.flags.clear()


def incident(kind: IncidentKind, at: float, number: int = 1, **more: Any) -> Incident:
    reason = "another voice than the expected one speaks (evidence -3.2, the bound is -3.0)"
    return Incident(
        t=1.0, id=f"s/{number}", kind=kind, since=1.0, since_at=at, reason=reason, severity=1,
        **more,
    )  # fmt: skip


def sat(tool: Tool, record: Record, launch: Launch, now: float) -> Attempt:
    """An attempt that is heard from 1 s after ``now`` on."""
    attempt = tool.sit(launch, now)
    record.hear(attempt, now + 1)
    return attempt


def taken_over(tool: Tool, record: Record, launch: Launch, now: float) -> Attempt:
    """An attempt in which somebody else speaks 2 s after ``now``; it is looked at 1 s later."""
    attempt = sat(tool, record, launch, now)
    record.found = [incident("takeover", now + 2)]
    tool.book.look_at(attempt.candidate, now + 3)
    return attempt


def test_incidents_are_flagged_once_and_nothing_else_is_asked(
    heard: Tool, comes: Come, courier: Courier, record: Record, there: FakePlatform
) -> None:
    now = time.time()
    attempt = sat(heard, record, comes(), now)
    record.found = [
        incident("takeover", now + 30.4, 1),
        incident("silent", now + 31, 2),  # nobody else spoke
        incident("mismatch", now + 32, 3, note_only=True),  # an accommodation explains it
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


def test_only_what_is_of_the_attempt_is_flagged(
    heard: Tool, comes: Come, courier: Courier, record: Record, there: FakePlatform
) -> None:
    now = time.time()
    attempt = sat(heard, record, comes(), now)
    record.hear(attempt, now - 60, now - 20, stream="of an attempt before")
    record.found = [
        msgspec.structs.replace(incident("mismatch", now - 32), id="of an attempt before/1"),
        incident("overlap", now - 0.5, 2),  # in sound that waited at the client until it came in
        incident("takeover", now + 1e6, 3),  # of one after
    ]
    heard.book.look_at(attempt.candidate, now + 40)
    courier.deliver(now + 40)
    assert [one["reason_code"] for one in there.flags] == ["overlap"]


def test_an_incident_during_a_look_is_flagged_by_the_next(
    heard: Tool, comes: Come, record: Record, there: FakePlatform
) -> None:
    now = time.time()
    attempt = sat(heard, record, comes(), now)

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
    now = time.time()
    attempt = sat(heard, record, comes(), now)
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
    now = time.time()
    attempt = sat(heard, record, comes(), now)
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
