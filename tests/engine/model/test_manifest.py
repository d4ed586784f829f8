"""The records of a manifest: what cannot be is refused, heights follow from a budget."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from engine.model.manifest import AlarmFigures, Calibration

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
