"""The records of a manifest: what cannot be is refused, heights follow from a budget."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from engine.model.manifest import (
    AlarmFigures,
    Calibration,
    MagnitudeFigures,
    heard_together,
)
from engine.scoring.worth import unusual

ALARM = AlarmFigures(claim=0.5, voice=2.0, offset=-1.0, log_rate=4.0, decay=1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"slope": (-0.1, 1.0)},
        {"slope": (1.0, -1.1)},
        {"slope": (0.0, 1.0)},
        {"slope": (0.0, 0.0)},
        {"slope": (1.0, 0.0), "cosine": (1.0, -2.0)},
        {"slope": (float("inf"), 0.0)},
        {"offset": (float("nan"), 0.0, 0.0)},
    ],
)
def test_a_calibration_must_rise_with_the_score(wrong: dict[str, Any]) -> None:
    given: dict[str, Any] = {"half_speech_s": 1.0, "slope": (1.0, 0.0), "offset": (0.0, 0.0, 0.0)}
    with pytest.raises(ValueError, match="calibration"):
        Calibration(**(given | wrong))


@pytest.mark.parametrize("seconds", [[2.0, 2.0], [1.0, 4.0], [3.0, 0.0]])
def test_parts_together_are_as_unusual_as_they_are_in_the_mean(seconds: list[float]) -> None:
    figures = MagnitudeFigures(usual=2.5, slope=-0.1, weight=5.0)
    beyond = np.array([-0.2, 0.1])
    magnitude = figures.usual + figures.slope * np.log(np.maximum(seconds, 0.1)) + beyond
    parts = np.stack([[10.0, 20.0], [30.0, 40.0], magnitude], axis=1).astype(np.float32)
    found = heard_together(parts, seconds, figures)
    means = [np.average(column, weights=seconds) for column in ([10, 20], [30, 40], beyond)]
    np.testing.assert_allclose(found[:2], means[:2], rtol=1e-6)
    assert unusual(figures, sum(seconds), found[2]) == pytest.approx(means[2], abs=1e-6)
    again = heard_together(np.stack([parts, parts]), [seconds, seconds], figures)
    np.testing.assert_array_equal(again, [found, found])
    # Where nobody knows what is usual that is not known, but of one part alone.
    alone = heard_together(parts, seconds)
    np.testing.assert_array_equal(alone[:2], found[:2])
    assert np.isnan(alone[2]) == all(seconds)
    assert all(seconds) or alone[2] == parts[0, 2]


def test_heights_are_where_the_line_says() -> None:
    assert ALARM.height(1.0) == pytest.approx(4.0)
    assert ALARM.height(np.exp(4.0)) == 0.0
    assert ALARM.height(1e9) == 0.0


def test_ratios_count_by_the_speech_behind_them() -> None:
    alarm = msgspec.structs.replace(ALARM, speech=-3.0)
    voice, claim = np.array([2.0, 2.0]), np.array([4.0, 4.0])
    found = alarm.goes_on(voice, claim, np.array([0.5, 1.0]))
    assert found == pytest.approx([0.5 * 3.0 - 1.0, 1.0 * 3.0 - 1.0])


def test_a_bundle_fitted_before_speech_counted_weighs_all_ratios_alike() -> None:
    gains = np.array([0.1, 1.0])
    assert ALARM.goes_on(np.full(2, 2.0), 0.0, gains) == pytest.approx([3.0, 3.0])
