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


def test_after_another_voice_an_open_state_counts_from_when_that_began() -> None:
    told = ToldDecisions()
    told.add(decision(2.0, "uncertain", "more-speech"), 0)
    assert not told.wants("uncertain", "anna", 5 * AGAIN_SAMPLES, 11.5)
    assert not told.wants("uncertain", "anna", 6 * AGAIN_SAMPLES - 1, None)
    (again,) = told.add(decision(20.0, "uncertain", "saturated"), 6 * AGAIN_SAMPLES)
    assert again.since == 11.5
