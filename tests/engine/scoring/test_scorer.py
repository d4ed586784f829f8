from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.errors import BundleError
from engine.model.bundle import Bundle
from engine.model.manifest import Calibration, Manifest, Normalisation
from engine.scoring.scorer import (
    CalibratedScorer,
    CalibratedScores,
    CohortStats,
    Scorer,
    as_norm,
    cohort_stats,
    llr,
    posterior,
    speech_gain,
)

SIZE = 16
CALIBRATION = Calibration(
    half_speech_s=1.2, slope=(0.3, 1.1), offset=(-0.5, -1.0, -3.0), cosine=(2.0, -1.5)
)


def unit_rows(count: int, seed: int = 0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, SIZE))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def bundle(
    cohort: NDArray[np.float32] | None = None, calibration: Calibration | None = None
) -> Bundle:
    manifest = Manifest(
        name="test",
        version="1",
        licence="",
        source="",
        architecture={},
        front_end={},
        embedding_size=SIZE,
        calibration=calibration,
        normalisation=None if cohort is None else Normalisation(top=4),
    )
    return Bundle(manifest, Path(), cohort)


def test_cohort_statistics_are_of_the_nearest() -> None:
    embeddings, cohort = unit_rows(3), unit_rows(9, seed=1)
    stats = cohort_stats(embeddings, cohort, 4)
    for i, embedding in enumerate(embeddings):
        nearest = sorted((float(embedding @ c) for c in cohort), reverse=True)[:4]
        assert stats.mean[i] == pytest.approx(np.mean(nearest), abs=1e-6)
        assert stats.std[i] == pytest.approx(np.std(nearest), abs=1e-6)


def test_the_whole_cohort_may_be_the_nearest() -> None:
    embeddings, cohort = unit_rows(2), unit_rows(5, seed=1)
    np.testing.assert_allclose(
        cohort_stats(embeddings, cohort, 5).mean, (embeddings @ cohort.T).mean(axis=1), atol=1e-6
    )


@pytest.mark.parametrize("top", [0, 6])
def test_an_impossible_top_is_an_error(top: int) -> None:
    with pytest.raises(ValueError, match="top must lie between"):
        cohort_stats(unit_rows(1), unit_rows(5), top)


def test_a_cohort_of_one_voice_does_not_divide_by_nothing() -> None:
    same = np.repeat(unit_rows(1), 6, axis=0)
    assert np.all(cohort_stats(unit_rows(3), same, 4).std > 0)


def test_as_norm_by_hand() -> None:
    enrol = CohortStats(np.array([0.1]), np.array([0.05]))
    test = CohortStats(np.array([0.2]), np.array([0.1]))
    # ((0.5 - 0.1) / 0.05 + (0.5 - 0.2) / 0.1) / 2
    assert as_norm(np.array([0.5]), enrol, test)[0] == pytest.approx(5.5)


def test_a_score_does_not_depend_on_which_side_is_enrolled() -> None:
    scorer = CalibratedScorer(bundle(unit_rows(9, seed=1), CALIBRATION))
    a, b = unit_rows(2, seed=5)
    assert scorer.score(a, 3.0, b, 7.0) == scorer.score(b, 7.0, a, 3.0)


def test_one_score_is_a_row_of_many() -> None:
    scorer = CalibratedScorer(bundle(unit_rows(9, seed=1), CALIBRATION))
    enrol, test = unit_rows(5, seed=2), unit_rows(5, seed=3)
    seconds = np.linspace(1, 9, 5)
    many = scorer.compare(scorer.prepare(enrol, 4.0), scorer.prepare(test, seconds))
    one = scorer.score(enrol[3], 4.0, test[3], seconds[3])
    assert (many.cosine[3], many.norm[3], many.llr[3]) == pytest.approx(
        (one.cosine, one.norm, one.llr)
    )
    assert one.cosine == pytest.approx(float(enrol[3] @ test[3]), abs=1e-6)


def test_prepared_sides_give_the_same_scores() -> None:
    scorer = CalibratedScorer(bundle(unit_rows(9, seed=1), CALIBRATION))
    voices, seconds = unit_rows(4, seed=2), np.array([1.0, 2.0, 3.0, 4.0])
    prepared = scorer.prepare(voices, seconds)
    pairs = np.array([[0, 1], [2, 2], [3, 0], [0, 1]])
    found = scorer.compare(prepared.take(pairs[:, 0]), prepared.take(pairs[:, 1]))
    left, right = pairs.T
    expected = scorer.compare(
        scorer.prepare(voices[left], seconds[left]), scorer.prepare(voices[right], seconds[right])
    )
    np.testing.assert_allclose(found.norm, expected.norm)
    np.testing.assert_allclose(found.llr, expected.llr)


def test_one_voice_meets_many() -> None:
    scorer = CalibratedScorer(bundle(unit_rows(9, seed=1), CALIBRATION))
    enrolled = scorer.prepare(unit_rows(1, seed=2), 5.0)
    heard = scorer.prepare(unit_rows(3, seed=3), 2.0)
    scores = scorer.compare(enrolled, heard)
    assert scores.norm.shape == (3,)
    assert scores.llr.shape == (3,)


def test_without_cohort_and_calibration_there_is_only_the_cosine() -> None:
    scorer = Scorer(bundle())
    both = scorer.prepare(unit_rows(2), 1.0)
    for scores in (scorer.compare(both, both), scorer.table(both, both)):
        np.testing.assert_array_equal(scores.norm, scores.cosine)
        assert not isinstance(scores, CalibratedScores)
    with pytest.raises(BundleError, match="voxwatch calibrate"):
        CalibratedScorer(bundle())


def test_wrong_shapes_and_no_speech_are_errors() -> None:
    scorer = Scorer(bundle())
    with pytest.raises(ValueError, match=r"\(N, 16\)"):
        scorer.prepare(np.zeros((2, 5), np.float32), 1.0)
    with pytest.raises(ValueError, match="longer than nothing"):
        scorer.prepare(unit_rows(2), [1.0, 0.0])


seconds = st.floats(0.5, 60)


@given(seconds, seconds, st.floats(-20, 20), st.floats(0.01, 5))
def test_the_ratio_rises_with_the_score_at_every_duration(
    enrol_s: float, test_s: float, norm: float, step: float
) -> None:
    low, high = llr(CALIBRATION, np.array([norm, norm + step]), 0.3, enrol_s, test_s)
    assert high > low
    low, high = llr(CALIBRATION, norm, np.array([0.1, 0.1 + step]), enrol_s, test_s)
    assert high > low


@given(st.floats(0.1, 10), seconds, seconds, st.floats(0.1, 30))
def test_more_speech_on_either_side_says_more(
    half: float, enrol_s: float, test_s: float, more: float
) -> None:
    g = float(speech_gain(half, enrol_s, test_s))
    assert 0 < g < 1
    assert float(speech_gain(half, enrol_s + more, test_s)) > g
    assert float(speech_gain(half, enrol_s, test_s + more)) > g


def test_the_ratio_by_hand() -> None:
    calibration = Calibration(
        half_speech_s=3.0, slope=(1.0, 2.0), offset=(0.5, -1.0, -4.0), cosine=(0.0, 2.0)
    )
    # One second on either side: g = 1 / sqrt((1 + 3) (1 + 3)) = 1/4.
    found = llr(calibration, 2.0, 0.5, 1.0, 1.0)
    assert float(found) == pytest.approx((1 + 0.5) * 2 + 0.5 * 0.5 + 0.5 - 0.25 - 0.25)


@given(st.floats(-50, 50), st.floats(0.001, 0.999))
def test_posterior_is_bayes(ratio: float, prior: float) -> None:
    odds = np.exp(np.longdouble(ratio)) * prior / (1 - prior)
    assert float(posterior(ratio, prior)) == pytest.approx(float(odds / (1 + odds)), abs=1e-12)


def test_posterior_of_no_doubt_does_not_overflow() -> None:
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(posterior([-1e9, 0.0, 1e9], 0.5), [0, 0.5, 1])


@pytest.mark.parametrize("prior", [0.0, 1.0, -1.0, 2.0, float("nan")])
def test_a_prior_is_a_probability_in_between(prior: float) -> None:
    with pytest.raises(ValueError, match="strictly between"):
        posterior(0.0, prior)


@pytest.mark.parametrize("normalised", [False, True])
def test_a_table_is_every_row_against_every_other(normalised: bool) -> None:
    scorer = CalibratedScorer(bundle(unit_rows(30, seed=8) if normalised else None, CALIBRATION))
    enrol = scorer.prepare(unit_rows(9, seed=1), np.linspace(3, 30, 9))
    test = scorer.prepare(unit_rows(2, seed=2), [1.5, 3.0])
    table = scorer.table(enrol, test)
    assert table.llr.shape == (2, 9)
    for t in range(2):
        alone = scorer.compare(enrol, test.take([t]))
        np.testing.assert_allclose(table.cosine[t], alone.cosine, atol=1e-6)
        np.testing.assert_allclose(table.norm[t], alone.norm, atol=1e-4)
        np.testing.assert_allclose(table.llr[t], alone.llr, atol=1e-4)
        for n in range(9):  # to the bit: it does not matter who else is enrolled
            one = scorer.table(enrol.take([n]), test.take([t])).llr
            assert one is not None
            assert one[0, 0] == table.llr[t, n]
