"""Decisions are told where they are news: another state, or another cause of an open one."""

from __future__ import annotations

from engine.decisions.told import AGAIN_SAMPLES, ToldDecisions
from engine.events import Cause, Decision, State


def decision(t: float, state: State, cause: Cause | None = None) -> Decision:
    return Decision(
        t=t, state=state, speaker="anna", since=t, llr=None, net_speech_s=t, reason="", cause=cause
    )


def test_an_open_state_is_told_again_when_its_cause_is_another() -> None:
    told = ToldDecisions()
    assert told.add(decision(2.0, "uncertain", "more-speech"), 100)
    assert not told.wants("uncertain", "anna", 100 + AGAIN_SAMPLES - 1, None)
    assert told.wants("uncertain", "anna", 100 + AGAIN_SAMPLES, None)
    assert told.add(decision(5.0, "uncertain", "more-speech"), 100 + AGAIN_SAMPLES) == []
    assert not told.wants("uncertain", "anna", 100 + 2 * AGAIN_SAMPLES - 1, None)
    (again,) = told.add(decision(8.0, "uncertain", "saturated"), 100 + 2 * AGAIN_SAMPLES)
    assert (again.t, again.since, again.cause) == (8.0, 2.0, "saturated")
    assert told.counts == {"uncertain": 1}


def test_a_settled_state_is_told_once() -> None:
    told = ToldDecisions()
    assert told.add(decision(2.0, "match"), 0)
    assert not told.wants("match", "anna", 100 * AGAIN_SAMPLES, None)
    assert told.wants("mismatch", "anna", 100 * AGAIN_SAMPLES, None)
    assert told.wants("match", "bert", 100 * AGAIN_SAMPLES, None)


def test_an_open_state_is_told_anew_of_another_voice() -> None:
    told = ToldDecisions()
    told.add(decision(2.0, "uncertain", "another-voice"), 0)
    assert told.wants("uncertain", "anna", 100, 9.0)
    (anew,) = told.add(decision(11.5, "uncertain", "another-voice"), 100, changed=True)
    assert anew.since == 11.5
    (again,) = told.add(decision(20.0, "uncertain", "saturated"), 100 + AGAIN_SAMPLES)
    assert again.since == 11.5
    assert told.counts == {"uncertain": 1}


def test_a_state_told_early_is_told_anew_once_the_other_voice_is_known() -> None:
    told = ToldDecisions()
    told.add(decision(12.5, "mismatch"), 0)
    assert told.wants("mismatch", "anna", 100, 12.0)
    assert not told.wants("mismatch", "anna", 100, 14.0)
    (anew,) = told.add(decision(12.0, "mismatch"), 100, changed=True)
    assert anew.since == 12.0
    assert told.counts == {"mismatch": 1}
