"""The filter: when a change is likely, when it was, and who is taken to speak now."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from fake_scorers import fake_scorer
from fake_speech import FakeSpeech, Said
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.decisions.belief import Belief, Hypothesis
from engine.decisions.change_filter import ChangeFilter
from engine.decisions.change_places import (
    BACK_SAMPLES,
    LAPSE_S,
    MOST_LIKELY,
    PAUSE_HAZARD,
    pause_hazard,
)
from engine.format import SAMPLE_RATE_HZ, unit
from engine.model.manifest import Calibration, DecisionFigures
from engine.scoring.identify import EnrolledVoiceprints

AXES = np.eye(8, dtype=np.float32)
SCORER = fake_scorer(8, Calibration(half_speech_s=1.0, slope=(12.0, 0.0), offset=(-6.0, 0.0, 0.0)))
ANNA = EnrolledVoiceprints({"anna": SCORER.prepare(AXES[:1], 10.0)})
NOBODY = EnrolledVoiceprints({})
FIGURES = DecisionFigures()


def beliefs(speech: FakeSpeech, enrolled: EnrolledVoiceprints = ANNA) -> dict[float, Belief]:
    """What the filter believes after so many seconds of speech, nothing ever being told."""
    found, begun = {}, -1
    followed = ChangeFilter(SCORER, DecisionFigures())
    for mark in speech.marks():
        if mark.turn != begun:
            begun, timeline = mark.turn, speech.timeline
            pause = timeline.begins(begun) - timeline.ends(begun)
            followed.places.begin_turn(begun, pause / SAMPLE_RATE_HZ)
        belief = followed.step(speech, mark.position, enrolled)
        if belief is not None:
            found[mark.position / SAMPLE_RATE_HZ] = belief
    return found


def test_one_voice_that_goes_on_is_no_change() -> None:
    for enrolled in (ANNA, NOBODY):
        found = beliefs(FakeSpeech(AXES, Said(0, 20.0), Said(0, 10.0, 5.0)), enrolled)
        assert max(belief.log_odds for belief in found.values()) < -2
        assert all(belief.speaks[0] > 0.9 for belief in found.values())


@pytest.mark.parametrize("enrolled", [ANNA, NOBODY])
def test_another_voice_inside_a_turn_is_a_change_from_then_on(
    enrolled: EnrolledVoiceprints,
) -> None:
    found = beliefs(FakeSpeech(AXES, Said(0, 8.0), Said(3, 6.0)), enrolled)
    assert max(belief.log_odds for t, belief in found.items() if t <= 8.0) < -2
    assert found[9.5].log_odds > 2
    best = found[9.5].best
    assert best is not None
    assert best.position == pytest.approx(8.0 * SAMPLE_RATE_HZ, abs=1)


def test_who_spoke_before_makes_no_stranger_the_one_who_speaks_now() -> None:
    found = beliefs(FakeSpeech(AXES, Said(0, 8.0), Said(3, 2.0, 3.0)))
    assert found[8.0].speaks[0] > 0.99
    assert found[9.0].speaks[0] < 0.1


@given(st.lists(st.floats(0.0, 600.0), min_size=2, max_size=2))
def test_a_pause_makes_a_change_likelier_the_longer_it_is(pauses: list[float]) -> None:
    short, long = sorted(pauses)
    assert PAUSE_HAZARD - 1e-9 <= pause_hazard(short) <= pause_hazard(long) <= 1.0


def test_a_decision_lapses_when_a_change_is_as_likely_as_none() -> None:
    assert pause_hazard(LAPSE_S) == pytest.approx(0.5)


def test_a_long_pause_alone_leaves_the_odds_open() -> None:
    found = beliefs(FakeSpeech(AXES, Said(0, 8.0), Said(0, 0.5, LAPSE_S)))
    at_once = found[8.5]
    assert at_once.best is not None
    assert at_once.best.log_prior == pytest.approx(0.0, abs=1e-3)


@settings(max_examples=30)
@given(st.floats(6.0, 12.0), st.sampled_from([0.0, 0.3]))
def test_the_moment_is_found_between_the_places(before_s: float, pause_s: float) -> None:
    """To 0.1 s, and exactly where sound went on after a pause."""
    speech = FakeSpeech(AXES, Said(0, before_s), Said(3, 4.0, pause_s))
    now = round((before_s + 3.0) * SAMPLE_RATE_HZ)
    followed = ChangeFilter(SCORER, DecisionFigures())
    true = round(before_s * SAMPLE_RATE_HZ)
    near = round(before_s / 0.5) * SAMPLE_RATE_HZ // 2
    found = followed.moment(speech, now, near)
    tolerance = 0 if pause_s else 0.1 * SAMPLE_RATE_HZ
    assert abs(found - true) <= tolerance


class TornSpeech(FakeSpeech):
    """Speech whose jobs between two places, in seconds, have failed."""

    torn_s = (0.0, 0.0)

    def failure(self, start: int, end: int) -> str | None:
        torn = [round(at_s * SAMPLE_RATE_HZ) for at_s in self.torn_s]
        lost = min(torn[1], end) - max(torn[0], start)
        return "out of memory" if 2 * lost > end - start else None

    def heard(
        self, spans: Sequence[tuple[int, int]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if any(self.failure(*span) is not None for span in spans):
            raise LookupError("nothing is known of a span")
        return super().heard(spans)


@pytest.mark.parametrize("torn_s", [(8.2, 9.0), (8.5, 9.0), (0.0, 9.0)])
def test_no_moment_is_looked_for_in_speech_whose_jobs_failed(torn_s: tuple[float, float]) -> None:
    """Some places fall away, or all of them: then it is where it was taken to be."""
    speech, followed = TornSpeech(AXES, Said(0, 8.0), Said(3, 1.0)), ChangeFilter(SCORER, FIGURES)
    speech.torn_s = torn_s
    near, now = round(8.2 * SAMPLE_RATE_HZ), 9 * SAMPLE_RATE_HZ
    found = followed.moment(speech, now, near)
    kept = speech.failure(0, found) is None and speech.failure(found, now) is None
    assert kept or found == near


def test_what_is_remembered_does_not_grow_with_the_stream() -> None:
    followed = ChangeFilter(SCORER, DecisionFigures())
    parts = [Said(0, 1.0, 1.0) for _ in range(60)]
    speech, begun = FakeSpeech(AXES, *parts), -1
    for mark in speech.marks():
        if mark.turn != begun:
            begun = mark.turn
            followed.places.begin_turn(begun, 1.0)
        followed.step(speech, mark.position, ANNA)
    held = BACK_SAMPLES / (SAMPLE_RATE_HZ / 2)
    assert len(followed._known) <= held + 6 + MOST_LIKELY
    assert len(followed.places._inside) <= held + 1 + MOST_LIKELY
    assert len(followed.places._turns) <= 6


class AskedSpeech(FakeSpeech):
    """Speech that remembers which spans were asked for."""

    def __init__(self, *said: Said) -> None:
        super().__init__(AXES, *said)
        self.asked: list[tuple[int, int]] = []

    def heard(
        self, spans: Sequence[tuple[int, int]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        self.asked += spans
        return super().heard(spans)


TWO_VOICES = Said(0, 8.0), Said(3, 6.0, 1.0)


def test_the_voice_before_a_place_is_the_one_that_was_heard_at_it() -> None:
    """It is not asked for again when another voice may have begun there."""
    speech = AskedSpeech(*TWO_VOICES)
    beliefs(speech)
    assert len(speech.asked) > 100
    assert len(speech.asked) == len(set(speech.asked))


@pytest.mark.parametrize("enrolled", [ANNA, NOBODY])
def test_the_voice_before_a_place_is_the_same_asked_for_there_and_later(
    enrolled: EnrolledVoiceprints,
) -> None:
    speech, forgetful = FakeSpeech(AXES, *TWO_VOICES), ChangeFilter(SCORER, FIGURES)
    followed = ChangeFilter(SCORER, FIGURES)
    for mark in speech.marks():
        forgetful._heard = None
        for one in (followed, forgetful):
            one.step(speech, mark.position, enrolled)
        assert followed._known.keys() == forgetful._known.keys()
        for place, known in followed._known.items():
            asked = forgetful._known[place]
            np.testing.assert_allclose(known.matched, asked.matched, atol=1e-6)
            np.testing.assert_allclose(known.before.embeddings, asked.before.embeddings, atol=1e-6)
            assert known.before.speech_s == asked.before.speech_s


def test_what_a_voice_in_the_background_said_is_not_of_the_voice_before_a_place() -> None:
    speech, followed = (
        FakeSpeech(AXES, *TWO_VOICES, Said(0, 3.0, 1.0)),
        ChangeFilter(SCORER, FIGURES),
    )
    begun, ended = 8 * SAMPLE_RATE_HZ, 14 * SAMPLE_RATE_HZ
    for mark in speech.marks():
        followed.step(speech, mark.position, ANNA)
        if mark.position == ended:
            near = followed.voice(speech, 0, begun)
            far = Hypothesis(begun, 0.0, near, np.array([1.0, 0.0]), 0, -20.0)
            followed.leave_out(speech, far, begun, ended)
    before = followed._known[ended].before
    assert before.speech_s == 8.0
    np.testing.assert_allclose(before.embeddings, AXES[:1], atol=1e-6)


def test_other_people_are_compared_with_all_of_the_segment() -> None:
    speech = FakeSpeech(AXES, Said(3, 8.0))
    followed = ChangeFilter(SCORER, DecisionFigures())
    marks = list(speech.marks())
    first = followed.step(speech, marks[10].position, ANNA)
    followed.forget_people()
    other = EnrolledVoiceprints({"berta": SCORER.prepare(AXES[[3]], 10.0)})
    second = followed.step(speech, marks[11].position, other)
    assert first is not None
    assert second is not None
    assert first.speaks[0] < 0.01
    assert second.speaks[0] > 0.99
    assert math.isclose(second.speaks.sum(), 1.0)


def test_the_same_ratio_says_more_of_long_speech_than_of_short() -> None:
    """Half a second that is unlike the voice before is no change; three such seconds are."""
    between = np.stack([AXES[0], unit(0.4 * AXES[0] + np.float32(0.9165) * AXES[4])])
    found = beliefs(FakeSpeech(between, Said(0, 8.0), Said(1, 4.0)), NOBODY)
    assert max(belief.log_odds for t, belief in found.items() if t <= 8.5) < 0
    assert found[12.0].log_odds > 0
