"""What measured error rates are said to mean."""

from __future__ import annotations

import msgspec
import pytest

from engine.scoring.measured_rates import MeasuredRates, TakeoverRates
from streamer.reports import rates
from streamer.reports.report import Report, Session
from streamer.reports.words import MINUS


def counted(alarms: int, hours: float) -> TakeoverRates:
    return TakeoverRates(
        per_hour=1.0, streams=9, delay_s_p50=2.0, missed=0.1, false_alarms=alarms, hours=hours
    )


@pytest.mark.parametrize(("alarms", "expected"), [(0, 2.996), (1, 4.744), (5, 10.513)])
def test_what_may_lie_behind_a_count_is_the_exact_bound(alarms: int, expected: float) -> None:
    """As in any table of one-sided 95 % bounds of a Poisson mean."""
    assert rates.most_an_hour(counted(alarms, 1.0)) == pytest.approx(expected, abs=1e-3)
    assert rates.most_an_hour(counted(alarms, 2.0)) == pytest.approx(expected / 2, abs=1e-3)


def test_the_rates_are_those_measured_at_what_was_asked_for(taken: Report) -> None:
    said = " ".join(rates.sentences(taken.sessions[0]))
    assert "Of 100 honest candidates 0 to 2.1 were flagged" in said
    assert "3.8 to 5.5 stayed undecided" in said
    assert "1.7 to 2.0 were matched (asked for were 1 % false matches)" in said
    assert "half were told within 2.7 s" in said
    assert "15 were not told" in said


def test_a_longer_session_is_flagged_more_often(taken: Report) -> None:
    def bound(session: Session) -> float:
        (sentence,) = (s for s in rates.sentences(session) if "up to" in s and "hours" in s)
        return float(sentence.partition("up to ")[2].partition(" ")[0])

    short = taken.sessions[0]
    long = msgspec.structs.replace(short, speech_s=3600.0)
    assert bound(short) < 10 < 90 < bound(long)


def test_what_the_evidence_is_stands_in_a_sentence(taken: Report) -> None:
    """By the bounds of the claim: 95 and 20 times as likely."""
    said = rates.evidence(taken.sessions[0].claims[0].bounds)
    assert said is not None
    assert "+4.5 or more, 95 times as likely, is a match" in said
    assert f"{MINUS}3.0 or less, 20 times as likely if it was somebody else, a mismatch" in said
    assert rates.evidence(None) is None


def test_of_who_did_not_speak_no_false_takeover_is_told(taken: Report) -> None:
    silent = msgspec.structs.replace(taken.sessions[0], speech_s=0.0)
    said = rates.sentences(silent)
    assert len(said) == len(rates.sentences(taken.sessions[0])) - 2
    assert not any("takeover" in one for one in said)


def test_what_was_not_measured_is_said_to_be_unknown(taken: Report) -> None:
    told = taken.sessions[0]
    assert told.model is not None
    unmeasured = msgspec.structs.replace(told.model, measured=MeasuredRates())
    assert rates.sentences(msgspec.structs.replace(told, model=unmeasured)) == (rates.NOT_MEASURED,)
    assert rates.sentences(msgspec.structs.replace(told, model=None)) == (rates.NOT_MEASURED,)
