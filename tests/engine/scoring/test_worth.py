"""What speech in noise and rooms is worth, and what follows for those who speak in it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.manifest import Calibration
from engine.scoring.scorer import llr, speech_gain
from engine.scoring.worth import CLEAN_DB, MOST_LACKING, UNKNOWN, lacking, worth_s

# Two normal distributions with the means 6 g and 0 and deviations of 1.
CALIBRATION = Calibration(
    half_speech_s=2.0, slope=(0.01, 6.0), offset=(0.0, 0.0, -18.0), acoustics=(4.0, 1.0)
)
db = st.floats(-100, 100)


@pytest.mark.parametrize("heard", [UNKNOWN, (CLEAN_DB, CLEAN_DB), (60.0, math.nan)])
def test_clean_speech_is_worth_itself_and_so_is_what_nothing_is_known_of(
    heard: tuple[float, float],
) -> None:
    np.testing.assert_array_equal(worth_s(CALIBRATION, [0.5, 60.0], heard), [0.5, 60.0])


@given(st.floats(0.1, 600), st.tuples(db, db), st.tuples(db, db))
def test_speech_is_worth_less_the_worse_it_is_heard(
    speech_s: float, one: tuple[float, float], other: tuple[float, float]
) -> None:
    worse = np.minimum(one, other)
    assert 0 < worth_s(CALIBRATION, speech_s, worse) <= worth_s(CALIBRATION, speech_s, one)
    assert worth_s(CALIBRATION, speech_s, one) <= speech_s


def test_speech_in_noise_is_never_worth_more_than_the_noise_lets_it() -> None:
    """``h / w``: at 0 dB of SNR ``w`` is 4."""
    worth = worth_s(CALIBRATION, [0.5, 5.0, 50.0, 5000.0], (0.0, CLEAN_DB))
    assert list(worth) == sorted(worth)
    assert worth[-1] == pytest.approx(2.0 / 4.0, rel=1e-3)


def test_estimates_beyond_what_tells_anything_tell_nothing_more() -> None:
    assert list(lacking([-1000.0, 1000.0])) == [MOST_LACKING**2, 0.0]


@pytest.mark.parametrize("snr_db", [0.0, 5.0, 10.0])
def test_stated_misses_hold_in_noise_that_moves_embeddings(snr_db: float) -> None:
    """Of 2,000 own scores in noise, of which the true gain is known, 5 % are denied and not more.

    Taken for clean speech they would be denied many times as often.
    """
    norm, speech_s = np.random.default_rng(0).standard_normal(2000), (20.0, 3.0)
    worth = float(worth_s(CALIBRATION, speech_s[1], (snr_db, CLEAN_DB)))
    scores = norm + 6.0 * speech_gain(CALIBRATION.half_speech_s, speech_s[0], worth)
    denied, taken_for_clean = (
        np.mean(llr(CALIBRATION, scores, 0.0, speech_s[0], one) <= math.log(0.05 / 0.99))
        for one in (worth, speech_s[1])
    )
    assert denied <= 0.05
    assert taken_for_clean > 2 * denied


def test_noise_cannot_make_speech_worth_more() -> None:
    with pytest.raises(ValueError, match="noise and rooms cannot make speech worth more"):
        Calibration(half_speech_s=1.0, slope=(1, 0), offset=(0, 0, 0), acoustics=(-0.1, 0.0))
