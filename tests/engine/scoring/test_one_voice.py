"""Agreement: one voice agrees, two voices do not, in whatever order they spoke."""

from __future__ import annotations

import numpy as np
import pytest
from fake_scorers import fake_scorer
from hypothesis import given
from hypothesis import strategies as st

from engine.scoring.one_voice import agreement, nearest_llr, one_voice_llr, unit_mean

SIZE = 32
SCORER = fake_scorer(SIZE)


def parts(voices: list[int], seed: int, spread: float = 0.1) -> np.ndarray:
    """Embeddings around one axis for each voice."""
    rng = np.random.default_rng(seed)
    centres = np.eye(SIZE, dtype=np.float32)[voices]
    noisy = centres + spread * rng.standard_normal(centres.shape) / np.sqrt(SIZE) * 3
    return (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)


@given(st.integers(2, 8), st.integers(0, 1000))
def test_one_voice_agrees(count: int, seed: int) -> None:
    embeddings = parts([0] * count, seed)
    assert one_voice_llr(SCORER, embeddings, 2.5) > 3
    assert agreement(embeddings) > 0.75  # the least of all these draws is 0.82


@given(st.permutations([0] * 6 + [1] * 2), st.integers(0, 1000))
def test_two_voices_are_told_in_any_order(voices: list[int], seed: int) -> None:
    embeddings = parts(list(voices), seed)
    assert one_voice_llr(SCORER, embeddings, 2.5) < -3
    assert agreement(embeddings) < 0.5


def test_equal_parts_are_one_voice() -> None:
    embeddings = np.repeat(parts([0], 1), 4, axis=0)
    assert one_voice_llr(SCORER, embeddings, 2.5) == pytest.approx(5.0, abs=1e-4)
    assert agreement(embeddings) == pytest.approx(1.0, abs=1e-5)


def test_the_nearest_of_several_counts_and_speech_stands_behind_it() -> None:
    one, other = parts([0, 1], 2, spread=0.0)
    both = SCORER.prepare(np.stack([one, other]), np.array([20.0, 20.0]))
    assert nearest_llr(SCORER, both, other, 20.0) == pytest.approx(5.0, abs=1e-4)
    first = both.take([0])
    assert nearest_llr(SCORER, first, other, 20.0) == pytest.approx(-5.0, abs=1e-4)


def test_the_mean_has_unit_length_and_the_direction_of_all() -> None:
    embeddings = parts([0, 0, 0], 4)
    mean = unit_mean(embeddings)
    assert np.linalg.norm(mean) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(
        mean, embeddings.sum(axis=0) / np.linalg.norm(embeddings.sum(axis=0)), atol=1e-6
    )
