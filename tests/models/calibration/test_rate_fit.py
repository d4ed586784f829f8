import numpy as np
import pytest

from models.calibration.rate_fit import STATED, decided, fit_bounds


def test_strangers_are_accepted_as_often_as_was_stated_whatever_their_ratios_are():
    rng = np.random.default_rng(0)
    for mean, spread in ((-8.0, 4.0), (-2.0, 2.0), (-0.5, 1.0)):
        llr = mean + spread * rng.standard_normal(20_000)
        slope, offset = fit_bounds(llr, np.ones(len(llr)))
        fresh = mean + spread * rng.standard_normal(20_000)
        rows = decided(slope * np.append(fresh, 99.0) + offset, np.arange(20_001) == 20_000)
        for row, (rate, _) in zip(rows, STATED, strict=True):
            assert row["false_accepts"] == pytest.approx(rate, rel=0.35)
            assert (row["undecided"], row["rejected"]) == (0, 0)


def test_who_weighs_nothing_does_not_count():
    rng = np.random.default_rng(1)
    llr = rng.standard_normal(4000)
    loud = np.append(llr, llr + 10)
    with_them = fit_bounds(loud, np.repeat([1.0, 1e-12], 4000))
    assert with_them == pytest.approx(fit_bounds(llr, np.ones(4000)), rel=0.05)


def test_right_speakers_are_accepted_rejected_or_neither():
    evidence = np.array([9.0, 0.0, -9.0, -9.0, 9.0])
    row = decided(evidence, np.array([True, True, True, True, False]))[1]
    assert (row["undecided"], row["rejected"], row["false_accepts"]) == (0.25, 0.5, 1.0)
    assert (row["targets"], row["nontargets"]) == (4, 1)
