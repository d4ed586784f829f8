"""Parts of a turn: what they are of, and that they are the whole turn, each place once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_scorers import fake_scorer
from fake_speech import FakeSpeech, Said
from hypothesis import given
from hypothesis import strategies as st

from engine.decisions.belief import Belief, Hypothesis
from engine.decisions.change_filter import ChangeFilter
from engine.decisions.turn_parts import Part, TurnParts
from engine.format import SAMPLE_RATE_HZ
from engine.model.manifest import Calibration, DecisionFigures
from engine.spans.interface import LEAST_SAMPLES

AXES = np.eye(8, dtype=np.float32)
SCORER = fake_scorer(8, Calibration(half_speech_s=1.0, slope=(12.0, 0.0), offset=(-6.0, 0.0, 0.0)))
SPEECH = FakeSpeech(AXES, Said(0, 8.0), Said(3, 1.2), Said(0, 6.0))
HEIGHT = 1.0


def belief(begun_s: float, log_odds: float) -> Belief:
    voice = SCORER.prepare(AXES[:1], 8.0)
    best = Hypothesis(samples(begun_s), 0.0, voice, np.ones(1), 0, None)
    return Belief(np.ones(1), log_odds, best, another=log_odds)


def samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)


def parts_of(odds: dict[float, float], begun_s: float = 8.0, end_s: float = 15.2) -> list[Part]:
    """The parts of the turn, after these log odds of another voice at places in seconds."""
    parts = TurnParts(ChangeFilter(SCORER, DecisionFigures()))
    for at_s, log_odds in odds.items():
        parts.add(SPEECH, belief(begun_s, log_odds), samples(at_s), HEIGHT)
    return parts.take(SPEECH, 0, samples(end_s))


def test_a_turn_of_one_voice_is_one_part() -> None:
    assert parts_of({8.5: -5.0, 9.0: HEIGHT, 9.5: -5.0}) == [Part(0, samples(15.2), other=False)]


def test_what_was_likely_for_a_while_is_a_part_from_change_to_change() -> None:
    first, second, third = parts_of({8.5: 2.0, 9.0: 4.0, 9.5: 3.0, 10.0: -1.0})
    assert [first.other, second.other, third.other] == [False, True, False]
    assert second.start == pytest.approx(samples(8.0), abs=samples(0.1))
    assert second.end == pytest.approx(samples(9.2), abs=samples(0.1))


def test_what_is_likely_until_the_end_of_the_turn_is_its_last_part() -> None:
    first, last = parts_of({8.5: 2.0, 9.0: 4.0}, end_s=9.2)
    assert (first.other, last.other, last.end) == (False, True, samples(9.2))


def test_a_voice_that_may_be_near_or_far_is_a_part_as_well() -> None:
    parts = TurnParts(ChangeFilter(SCORER, DecisionFigures()))
    either = replace(belief(8.0, 0.0), another=4.0)  # as likely a takeover as in the background
    parts.add(SPEECH, either, samples(9.0), HEIGHT)
    assert [one.other for one in parts.take(SPEECH, 0, samples(9.2))] == [False, True]


def test_what_was_told_as_a_change_is_no_part_of_the_turn_before() -> None:
    parts = TurnParts(ChangeFilter(SCORER, DecisionFigures()))
    parts.add(SPEECH, belief(8.0, 4.0), samples(9.0), HEIGHT)
    parts.drop()
    assert parts.take(SPEECH, 0, samples(8.0)) == [Part(0, samples(8.0), other=False)]


def test_the_next_turn_knows_nothing_of_it() -> None:
    parts = TurnParts(ChangeFilter(SCORER, DecisionFigures()))
    parts.add(SPEECH, belief(8.0, 4.0), samples(9.0), HEIGHT)
    assert len(parts.take(SPEECH, 0, samples(9.2))) == 2
    assert len(parts.take(SPEECH, samples(9.2), samples(15.2))) == 1


@given(
    st.lists(st.floats(-5.0, 8.0), min_size=1, max_size=28), st.integers(0, 12), st.floats(0.4, 9.0)
)
def test_parts_are_the_turn_and_each_can_be_judged(
    odds: list[float], start: int, begun_s: float
) -> None:
    parts = TurnParts(ChangeFilter(SCORER, DecisionFigures()))
    for number, log_odds in enumerate(odds, 1):
        at_s = 0.5 * number + 0.5
        before_s = min(begun_s, at_s - 0.4)
        parts.add(SPEECH, belief(before_s, log_odds), samples(at_s), HEIGHT)
    begun, end = samples(0.5 * start), samples(15.2)
    found = parts.take(SPEECH, begun, end)
    edges = [begun, *(part.end for part in found)]
    assert [part.start for part in found] == edges[:-1]
    assert edges[-1] == end
    assert all(part.end - part.start >= LEAST_SAMPLES for part in found)
