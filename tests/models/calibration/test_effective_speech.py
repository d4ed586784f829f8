"""What more speech is worth: a known law is found again, and speech that is all news too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.calibration.effective_speech import SECONDS, fit_effective, plot_effective
from models.calibration.evidence_trials import EvidenceTrial


def runs(half_s: float, count: int, seed: int, mislabelled: float = 0.0) -> list[EvidenceTrial]:
    """Of unit variance, so far apart as the law says."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(1.0, 12.5, 0.5)
    apart = np.sqrt(12 * seconds / (seconds + half_s))
    found = []
    for number in range(count):
        target = number % 4 == 0
        right = target and rng.random() >= mislabelled
        llr = (0.5 if right else -0.5) * apart + rng.standard_normal(len(seconds))
        found.append(EvidenceTrial(number, "source", False, target, seconds, llr, 5.0))
    return found


@pytest.mark.parametrize("half_s", [1.0, 5.0])
@pytest.mark.parametrize("mislabelled", [0.0, 0.05])
def test_the_law_that_made_the_runs_is_found(half_s: float, mislabelled: float) -> None:
    found = fit_effective(runs(half_s, 20_000, seed=1, mislabelled=mislabelled))
    assert found is not None
    assert found.half_s == pytest.approx(half_s, rel=0.35)
    assert found.separation[-1] > found.separation[0]


def test_too_few_or_too_short_runs_say_nothing() -> None:
    assert fit_effective(runs(2.0, 40, seed=2)) is None
    short = [
        EvidenceTrial(r.speaker, r.source, r.degraded, r.target, r.speech_s[:8], r.llr[:8], 5.0)
        for r in runs(2.0, 400, seed=3)
    ]
    assert fit_effective(short) is None


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    found = fit_effective(runs(2.0, 400, seed=4))
    assert found is not None
    assert found.seconds == SECONDS
    plot_effective(found, tmp_path / "effective.png")
    assert (tmp_path / "effective.png").read_bytes().startswith(b"\x89PNG")
