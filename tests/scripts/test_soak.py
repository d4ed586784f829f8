"""The soak's judgement: flat is flat, a leak is not, and what fills at first is no leak."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.soak import judged

AT = np.arange(0, 60, 1 / 6)


def memory(mb_per_hour: float, seed: int = 0) -> np.ndarray:
    """Fills by 10 MB in the first quarter of an hour, then rises so much."""
    noise = 0.05 * np.random.default_rng(seed).standard_normal(len(AT))
    return np.stack([AT, 130 + np.minimum(AT, 15) / 1.5 + mb_per_hour * AT / 60 + noise], axis=1)


def test_what_fills_at_first_is_no_leak() -> None:
    found = judged(memory(0.0))
    assert found["within_noise"]
    assert abs(found["slope_mb_per_hour"]) < 0.2
    assert len(found["mb_by_minute"]) == 60
    assert found["mb_by_minute"][30] == pytest.approx(140, abs=0.3)


def test_a_leak_is_told() -> None:
    found = judged(memory(5.0))
    assert not found["within_noise"]
    assert found["slope_mb_per_hour"] == pytest.approx(5.0, abs=0.3)
    assert found["percent_per_hour"] == pytest.approx(100 * 5 / 144, abs=0.3)
