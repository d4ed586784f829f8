"""What speech in noise and rooms is worth, and what follows for those who speak in it."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.manifest import Calibration, MagnitudeFigures
from engine.scoring.scorer import llr, speech_gain
from engine.scoring.worth import (
    CLEAN_DB,
    MOST_LACKING,
    MOST_UNUSUAL,
    UNKNOWN,
    grown_worth_s,
    lacking,
    worth_s,
)

# Two normal distributions with the means 6 g and 0 and deviations of 1.
CALIBRATION = Calibration(
    half_speech_s=2.0, slope=(0.01, 6.0), offset=(0.0, 0.0, -18.0), acoustics=(4.0, 1.0)
)
db = st.floats(-100, 100)


@pytest.mark.parametrize("heard", [UNKNOWN, (CLEAN_DB, CLEAN_DB, 2.0), (60.0, math.nan, math.nan)])
def test_clean_speech_is_worth_itself_and_so_is_what_nothing_is_known_of(
    heard: tuple[float, ...],
) -> None:
    np.testing.assert_array_equal(worth_s(CALIBRATION, [0.5, 60.0], heard), [0.5, 60.0])


@given(st.floats(0.1, 600), st.tuples(db, db, db), st.tuples(db, db, db))
def test_speech_is_worth_less_the_worse_it_is_heard(
    speech_s: float, one: tuple[float, ...], other: tuple[float, ...]
) -> None:
    worse = np.minimum(one, other)
    assert 0 < worth_s(CALIBRATION, speech_s, worse) <= worth_s(CALIBRATION, speech_s, one)
    assert worth_s(CALIBRATION, speech_s, one) <= speech_s


def test_speech_in_noise_is_never_worth_more_than_the_noise_lets_it() -> None:
    """``h / w``: at 0 dB of SNR ``w`` is 4."""
    worth = worth_s(CALIBRATION, [0.5, 5.0, 50.0, 5000.0], (0.0, CLEAN_DB, math.nan))
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
    worth = float(worth_s(CALIBRATION, speech_s[1], (snr_db, CLEAN_DB, math.nan)))
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


SURE = msgspec.structs.replace(
    CALIBRATION, magnitude=MagnitudeFigures(usual=2.5, slope=-0.1, weight=5.0)
)


def usual(speech_s: float, beyond: float = 0.0) -> tuple[float, float, float]:
    """How clean speech is heard whose embedding's magnitude is beyond the usual one by so much."""
    return CLEAN_DB, CLEAN_DB, 2.5 - 0.1 * math.log(speech_s) + beyond


@pytest.mark.parametrize("speech_s", [0.5, 2.0, 60.0])
def test_speech_is_worth_the_more_the_surer_the_network_is(speech_s: float) -> None:
    assert worth_s(SURE, speech_s, usual(speech_s)) == pytest.approx(speech_s)
    for beyond in (-0.2, 0.1):
        worth = worth_s(SURE, speech_s, usual(speech_s, beyond))
        assert worth == pytest.approx(speech_s * math.exp(5.0 * beyond))


def test_a_magnitude_that_is_far_from_any_or_not_known_tells_nothing_more() -> None:
    for beyond in (MOST_UNUSUAL, 100.0):
        assert worth_s(SURE, 2.0, usual(2.0, beyond)) == pytest.approx(2.0 * math.exp(1.5))
        assert worth_s(SURE, 2.0, usual(2.0, -beyond)) == pytest.approx(2.0 * math.exp(-1.5))
    assert worth_s(SURE, 2.0, UNKNOWN) == 2.0
    assert worth_s(SURE, 2.0, (CLEAN_DB, CLEAN_DB, math.nan)) == 2.0


def test_sure_or_not_speech_in_noise_is_never_worth_more_than_the_noise_lets_it() -> None:
    noisy = 0.0, CLEAN_DB, usual(3.0, MOST_UNUSUAL)[-1]
    assert 0.3 < worth_s(SURE, 3.0, noisy) < 2.0 / 4.0
    noisy_and_unsure = 0.0, CLEAN_DB, usual(3.0, -MOST_UNUSUAL)[-1]
    assert worth_s(SURE, 3.0, noisy_and_unsure) < worth_s(SURE, 3.0, noisy)


@pytest.mark.parametrize("beyond", [-0.2, 0.0, 0.1])
def test_more_of_the_same_speech_is_as_unusual(beyond: float) -> None:
    assert grown_worth_s(SURE, 2.0, usual(2.0, beyond), 2.0) == worth_s(
        SURE, 2.0, usual(2.0, beyond)
    )
    grown = grown_worth_s(SURE, 2.0, usual(2.0, beyond), 60.0)
    assert grown == pytest.approx(worth_s(SURE, 60.0, usual(60.0, beyond)))
    assert grown == pytest.approx(60.0 * math.exp(5.0 * beyond))
    # Where nothing is known of it, or it does not count, that is as before.
    assert grown_worth_s(SURE, 2.0, UNKNOWN, 60.0) == 60.0
    assert grown_worth_s(CALIBRATION, 2.0, usual(2.0, beyond), 60.0) == 60.0


def test_each_of_several_spans_is_worth_its_own() -> None:
    some = [(1.0, usual(1.0, 0.1)), (4.0, UNKNOWN), (2.0, (0.0, 5.0, usual(2.0, -0.1)[-1]))]
    seconds, heard = zip(*some, strict=True)
    alone = [float(worth_s(SURE, *one)) for one in some]
    np.testing.assert_allclose(worth_s(SURE, seconds, heard), alone)
    assert len(set(np.divide(alone, seconds))) == 3


@pytest.mark.parametrize(
    "wrong", [{"weight": -0.1}, {"weight": 3000.0}, {"usual": math.inf}, {"slope": math.nan}]
)
def test_magnitudes_that_could_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    figures = {"usual": 2.5, "slope": -0.1, "weight": 5.0} | wrong
    known = {"half_speech_s": 1.0, "slope": [1, 0], "offset": [0, 0, 0], "magnitude": figures}
    with pytest.raises((ValueError, msgspec.ValidationError), match=r"magnitude|finite"):
        msgspec.convert(known, Calibration)
