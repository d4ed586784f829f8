"""What an attempt comes to, for Open edX: three words, and stretches in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import pytest

from engine import events
from streamer.edx.payloads import Review
from streamer.edx.review import Heard, heard, review
from streamer.records.entries import Acted, Told
from streamer.records.incidents.ledger import KINDS, OTHERS
from streamer.wire.requests import Judgement

START, END = 1_700_000_000.0, 1_700_001_000.0
WHOLE = Heard(since_at=START, until_at=END, matched=True)


@dataclass
class Flagged:
    kind: str
    since_at: float
    until_at: float | None
    reason: str = "why"
    note_only: bool = False


def flagged(kind: str, since: float, until: float, **more: Any) -> Flagged:
    return Flagged(kind, START + since, START + until, **more)


def spans(found: Review) -> list[tuple[str, int, int, int]]:
    return [(one.status, one.start, one.stop, one.duration) for one in found.comments]


def test_whoever_was_heard_and_nobody_else_has_passed() -> None:
    assert review(WHOLE, []) == Review(status="passed")


def test_where_nothing_was_heard_nothing_is_reviewed() -> None:
    assert review(None, []).status == "not_reviewed"
    assert review(Heard(since_at=START, until_at=END), []).status == "not_reviewed"


@pytest.mark.parametrize("kind", sorted(OTHERS))
def test_another_voice_is_suspicious_with_its_seconds(kind: str) -> None:
    found = review(WHOLE, [flagged(kind, 10.4, 20.2, reason="another voice")])
    assert found.status == "suspicious"
    assert found.comments[0].comment == "another voice"
    assert spans(found) == [("suspicious", 10, 21, 11)]


@pytest.mark.parametrize("kind", sorted(OTHERS))
def test_what_an_accommodation_explains_is_a_note(kind: str) -> None:
    found = review(WHOLE, [flagged(kind, 10, 20, note_only=True)])
    assert found.status == "passed"
    assert spans(found) == [("unknown", 10, 20, 10)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in OTHERS])
def test_what_could_not_be_heard_is_told_and_much_of_it_is_no_review(kind: str) -> None:
    short, long = flagged(kind, 0, 100), flagged(kind, 50, 300)
    assert review(WHOLE, [short]).status == "passed"
    assert review(WHOLE, [short, long]).status == "not_reviewed"
    assert review(WHOLE, [short, flagged(kind, 0, 90), flagged(kind, 10, 100)]).status == "passed"


def test_incidents_of_other_attempts_are_left_out_and_long_ones_cut() -> None:
    before, after = flagged("takeover", -50, -1), flagged("takeover", 1001, 1100)
    assert review(WHOLE, [before, after]) == Review(status="passed")
    both_ends = review(WHOLE, [flagged("takeover", -50, 2000)])
    assert spans(both_ends) == [("suspicious", 0, 1000, 1000)]
    open_ = Flagged("takeover", START + 900, None)
    assert spans(review(WHOLE, [open_])) == [("suspicious", 900, 1000, 100)]


@pytest.mark.parametrize("verdict", get_args(Judgement))
def test_what_a_person_said_goes_before_and_a_machine_never_says_violation(
    verdict: Judgement,
) -> None:
    judged = Heard(since_at=START, until_at=END, matched=True, verdict=verdict)
    found = review(judged, [flagged("takeover", 10, 20)])
    assert found.status == ("passed" if verdict == "cleared" else "suspicious")
    assert len(found.comments) == 2


def decision(state: Any, at: float) -> Told:
    event = events.Decision(
        t=1.0, state=state, speaker=None, since=0.0, llr=None, net_speech_s=2.0, reason="",
        evidence=None, accept_llr=1.0, reject_llr=-1.0, false_accept=0.01, voice=None,
    )  # fmt: skip
    return Told(at=at, t=1.0, event=event)


def verdict(said: Judgement, at: float) -> Acted:
    return Acted(at=at, t=1.0, who="desk", act="verdict", verdict=said)


def test_a_match_counts_within_the_attempt_and_the_last_verdict_whenever_it_was_given() -> None:
    late = [decision("match", END + 1)]
    assert not heard(START, END, [late]).matched
    first = [decision("uncertain", START), decision("match", START + 5)]
    judged = [verdict("violation", END + 5), verdict("cleared", END + 9)]
    found = heard(START, END, [first, judged])
    assert (found.matched, found.verdict) == (True, "cleared")
    note = Acted(at=END, t=1.0, who="desk", act="note", text="x")
    assert heard(START, END, [first, [note]]).verdict is None


def test_the_last_verdict_counts_on_whichever_stream_it_was_given() -> None:
    before_a_drop = [decision("match", START), verdict("cleared", END + 90)]
    after_it = [decision("match", START + 60), verdict("needs-review", END + 30)]
    assert heard(START, END, [before_a_drop, after_it]).verdict == "cleared"
