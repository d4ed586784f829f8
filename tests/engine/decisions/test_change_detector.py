"""The detector: alarms after their budget, on what a window shares no speech with."""

from __future__ import annotations

import numpy as np
import pytest
from fake_scorers import fake_scorer
from hypothesis import given
from hypothesis import strategies as st

from engine.decisions.change_detector import (
    ChangeDetector,
    ChangeScores,
    EmbeddedWindow,
    LeadingSpeaker,
    SpeakerChange,
)
from engine.decisions.config import DecisionConfig
from engine.model.manifest import AlarmFigures, DecisionFigures
from engine.speech.windows import WindowPlace

S = 16_000
SIZE = 8
SCORER = fake_scorer(SIZE)
ANNA, BERT = np.eye(SIZE, dtype=np.float32)[:2]
ALARM = AlarmFigures(claim=0.5, voice=2.0, offset=-1.0, log_rate=4.0, decay=1.0)
FIGURES = DecisionFigures(takeover=ALARM, change=ALARM)
CONFIG = DecisionConfig()


def window(voice: np.ndarray, position_s: float, window_s: float = 3.0) -> EmbeddedWindow:
    position, samples = round(position_s * S), round(window_s * S)
    prepared = SCORER.prepare(np.asarray(voice, np.float32)[None], window_s)
    place = WindowPlace(position - samples, position, position, samples, ((0, 0),))
    return EmbeddedWindow(place, prepared, place.end)


def mixed(turned_s: float, position_s: float, window_s: float = 3.0) -> np.ndarray:
    share = np.clip((position_s - turned_s) / window_s, 0, 1)
    both = (1 - share) * ANNA + share * BERT
    return np.asarray(both / np.linalg.norm(both), np.float32)


def watched(
    turned_s: float,
    until_s: float,
    config: DecisionConfig = CONFIG,
    *,
    matched: bool = False,
) -> tuple[SpeakerChange, float] | None:
    """The first alarm and when it came."""
    detector = ChangeDetector(SCORER, FIGURES, 0)
    for position_s in np.arange(3.0, until_s, 0.5):
        embedded = window(mixed(turned_s, position_s), position_s)
        leading = LeadingSpeaker(10 * float(embedded.embedding @ ANNA) - 5, matched)
        change = detector.check(embedded, leading, config)
        if change is not None:
            return change, float(position_s)
        detector.add(embedded, SCORER.prepare(ANNA[None], position_s), position_s * S)
    return None


def test_a_voice_that_goes_on_raises_no_alarm() -> None:
    assert watched(1e9, 60.0) is None
    assert watched(1e9, 60.0, matched=True) is None


@pytest.mark.parametrize("matched", [False, True])
def test_another_voice_does_and_is_back_dated(matched: bool) -> None:
    found = watched(12.0, 30.0, matched=matched)
    assert found is not None
    change, at_s = found
    assert 13.0 <= at_s <= 15.5
    assert change.position == change.at == pytest.approx(12.0 * S, abs=0.3 * S)
    np.testing.assert_array_equal(change.voice.embeddings[0], ANNA)
    assert change.llr < 0


@pytest.mark.parametrize("matched", [False, True])
def test_a_smaller_budget_waits_longer(matched: bool) -> None:
    name = "false_alarms_per_hour" if matched else "false_changes_per_hour"
    at = [
        found[1]
        for per_hour in (30.0, 1e-3, 1e-6)
        if (found := watched(12.0, 40.0, DecisionConfig(**{name: per_hour}), matched=matched))
    ]
    assert len(at) == 3
    assert at[0] < at[1] < at[2]


def test_a_window_is_compared_with_speech_it_shares_none_of() -> None:
    detector = ChangeDetector(SCORER, FIGURES, 0)
    for position_s in (1.0, 1.5, 2.0, 2.5, 3.0, 3.5):
        embedded = window(ANNA, position_s, min(position_s, 3.0))
        assert detector.measure(embedded, None) is None  # nobody has spoken for a second before it
        run = ANNA if position_s <= 1.0 else BERT
        detector.add(embedded, SCORER.prepare(run[None], position_s), position_s * S)
    scores = detector.measure(window(ANNA, 4.0), None)
    assert scores is not None
    assert scores.voice == pytest.approx(5.0)  # against the first second and not what came later
    assert scores.fresh == pytest.approx(0.5 / 3)


def test_only_a_matched_speaker_is_watched_for_the_takeover() -> None:
    deaf = DecisionFigures(
        takeover=AlarmFigures(claim=9.0, voice=0.0, offset=0.0, log_rate=0.0, decay=1.0),
        change=AlarmFigures(claim=0.0, voice=0.0, offset=1.0, log_rate=0.0, decay=1.0),
    )
    for matched in (False, True):
        detector = ChangeDetector(SCORER, deaf, 0)
        changes = []
        for position_s in (3.0, 6.0, 9.0, 12.0):
            embedded = window(ANNA, position_s)
            changes.append(detector.check(embedded, LeadingSpeaker(-1.0, matched), CONFIG))
            detector.add(embedded, SCORER.prepare(ANNA[None], position_s), position_s * S)
        assert any(change is not None for change in changes) is matched


@given(
    st.lists(st.floats(-20, 20), min_size=1, max_size=30),
    st.lists(st.floats(0.01, 1), min_size=1, max_size=30),
)
def test_the_sum_is_the_highest_climb_since_any_moment(
    voice: list[float], fresh: list[float]
) -> None:
    height, steps = 0.0, []
    for llr, share in zip(voice, fresh, strict=False):
        height = max(0.0, height + ChangeScores(0.0, llr, share).step(ALARM))
        steps.append(-share * (2.0 * llr - 1.0))
    tails = [sum(steps[i:]) for i in range(len(steps))]
    assert height == pytest.approx(max(0.0, *tails), abs=1e-6)
