"""The judge: many speakers at once are scored as each alone, and states lapse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.bundle import Bundle, Calibration, Manifest, Normalisation
from engine.decisions import DecisionConfig, Seen
from engine.events import Change, Decision, Score
from engine.judge import Judge, Terms, Voices
from engine.scores import Scorer, Sides

SIZE = 16
MANIFEST = Manifest(
    name="fake",
    version="1",
    licence="none",
    source="test",
    architecture={},
    front_end={},
    embedding_size=SIZE,
    normalisation=Normalisation(top=5),
    calibration=Calibration(half_speech_s=1.0, slope=(1.0, 0.5), offset=(-2.0, -1.0, 0.0)),
)


def units(seed: int, count: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, SIZE)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


SCORER = Scorer(Bundle(MANIFEST, Path(), units(9, 40)))
VOICES = units(1, 6)
ENROLLED = {
    name: SCORER.sides(VOICES[rows], np.linspace(10, 20, len(rows)))
    for name, rows in {"carla": [0], "anna": [1, 2, 3], "berta": [4, 5]}.items()
}


def terms(voiceprints: dict[str, Sides], *, claimed: bool) -> Terms:
    return Terms(Voices(voiceprints), claimed, DecisionConfig())


def seen(embedding: np.ndarray, position_s: float, window_s: float = 3.0) -> Seen:
    position, samples = round(position_s * 16_000), round(window_s * 16_000)
    sides = SCORER.sides(embedding[None], window_s)
    return Seen(position - samples, position, position, samples, sides)


def scores(window: Seen, asked: Terms) -> list[Score]:
    return [e for e in Judge(SCORER, 0.5).hear(window, asked) if isinstance(e, Score)]


@pytest.mark.parametrize("row", range(6))
def test_speakers_are_scored_together_as_each_alone(row: int) -> None:
    window = seen(
        (VOICES[row] + 0.1 * VOICES[0]) / np.linalg.norm(VOICES[row] + 0.1 * VOICES[0]), 5
    )
    together = scores(window, terms(ENROLLED, claimed=True))
    assert [s.speaker for s in together] == ["anna", "berta", "carla"]
    for score in together:
        (alone,) = scores(window, terms({score.speaker: ENROLLED[score.speaker]}, claimed=True))
        assert score.llr == pytest.approx(alone.llr, abs=1e-6)
        assert score.norm == pytest.approx(alone.norm, abs=1e-6)
        nearest = (ENROLLED[score.speaker].embeddings @ window.sides.embeddings[0]).max()
        assert score.cosine == pytest.approx(nearest, abs=1e-6)
    (best,) = scores(window, terms(ENROLLED, claimed=False))
    ranked = sorted(together, key=lambda s: -s.llr)
    assert (best.speaker, best.runner_up) == (ranked[0].speaker, ranked[1].speaker)


def test_a_lapse_is_told_once_and_only_of_something_known() -> None:
    judge, asked = Judge(SCORER, 0.5), terms({"carla": ENROLLED["carla"]}, claimed=True)
    assert judge.lapse(1.0, 0.0, "why", asked) == []
    judge.hear(seen(VOICES[0], 3.0), asked)
    (lapsed,) = judge.lapse(40.0, 3.0, "why", asked)
    assert isinstance(lapsed, Decision)
    assert (lapsed.state, lapsed.speaker, lapsed.reason) == ("insufficient", "carla", "why")
    assert judge.lapse(50.0, 3.0, "why", asked) == []


def test_who_was_identified_is_not_named_after_a_lapse() -> None:
    judge, asked = Judge(SCORER, 0.5), terms(ENROLLED, claimed=False)
    told = judge.hear(seen(VOICES[0], 3.0), asked)
    assert [e.speaker for e in told if isinstance(e, Decision)] == ["carla"]
    (lapsed,) = judge.lapse(40.0, 3.0, "why", asked)
    assert isinstance(lapsed, Decision)
    assert lapsed.speaker is None


def test_match_counts_from_one_score_to_the_next() -> None:
    judge, asked = Judge(SCORER, 0.5), terms({"carla": ENROLLED["carla"]}, claimed=True)
    judge.hear(seen(VOICES[0], 3.0), asked)
    judge.hear(seen(VOICES[0], 3.5), asked)
    judge.lapse(40.0, 3.5, "why", asked)
    judge.hear(seen(VOICES[0], 5.0, 1.5), asked)
    judge.hear(seen(VOICES[0], 5.5, 2.0), asked)
    assert judge.match_s == pytest.approx(1.0)


def test_a_change_names_who_was_there_before() -> None:
    judge, asked = Judge(SCORER, 0.5), terms({"carla": ENROLLED["carla"]}, claimed=True)
    judge.hear(seen(VOICES[0], 3.0), asked)
    changes = [e for e in judge.hear(seen(-VOICES[0], 6.0), asked) if isinstance(e, Change)]
    assert [(c.from_speaker, c.at) for c in changes] == [("carla", 3.0)]
