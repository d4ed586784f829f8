"""Identification: the margin over everybody else, and verification as its case of one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.scoring.identify import EnrolledVoiceprints, rank
from engine.scoring.scorer import PreparedEmbeddings


def test_for_one_voice_the_evidence_is_its_own() -> None:
    found = rank(np.array([3.5]))
    assert (found.speaker, found.runner_up) == (0, None)
    assert found.evidence == found.anybody == 3.5


def test_a_rival_as_near_leaves_even_odds_at_most() -> None:
    found = rank(np.array([1.0, 9.0, 9.0]))
    assert (found.speaker, found.runner_up) == (1, 2)
    assert found.evidence == pytest.approx(-math.log1p(math.exp(-8) + math.exp(-9)), abs=1e-9)


def test_those_who_do_not_fit_cost_nothing_but_many_who_do_cost_their_number() -> None:
    far = np.full(10_000, -40.0)
    far[7] = 6.0
    assert rank(far).evidence == pytest.approx(6.0, abs=1e-6)
    chance = np.zeros(10_000)  # as likely as not, each of them
    chance[7] = 6.0
    assert rank(chance).evidence == pytest.approx(6.0 - math.log(10_000), abs=1e-3)


@given(arrays(np.float64, st.integers(2, 30), elements=st.floats(-300, 300)))
def test_the_evidence_is_the_log_odds_of_the_best_against_the_rest(llr: np.ndarray) -> None:
    found = rank(llr)
    odds = np.exp(llr - llr.max())
    rest = np.delete(odds, found.speaker).sum() + math.exp(-min(llr.max(), 700.0))
    assert llr[found.speaker] == llr.max()
    if rest > 1e-12:
        assert found.evidence == pytest.approx(-math.log(rest), abs=1e-4)
    assert found == rank(llr, found.speaker)
    assert all(rank(llr, j).evidence <= found.evidence + 1e-9 for j in range(len(llr)))
    anybody = llr.max() + math.log(odds.mean())
    assert all(rank(llr, j).anybody == pytest.approx(anybody, abs=1e-6) for j in range(len(llr)))


def test_prototypes_of_a_speaker_are_one() -> None:
    def side(rows: int) -> PreparedEmbeddings:
        return PreparedEmbeddings(np.eye(4, dtype=np.float32)[:rows], np.ones(rows), None)

    voices = EnrolledVoiceprints({"bert": side(1), "anna": side(3)})
    assert voices.names == ("anna", "bert")
    llr = np.array([[1.0, 5.0, 2.0, 3.0], [0.0, -1.0, -2.0, -3.0]])
    np.testing.assert_array_equal(voices.by_speaker(llr), [[5.0, 3.0], [0.0, -3.0]])
    assert [voices.row(s, llr[0]) for s in (0, 1)] == [1, 3]
