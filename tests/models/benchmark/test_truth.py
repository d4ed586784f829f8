from __future__ import annotations

import numpy as np

from models.benchmark.truth import overlap_s

SPANS = np.array([[1.0, 5.0], [6.0, 20.0]])


def test_speech_between_two_moments() -> None:
    assert overlap_s(SPANS, 0, 30) == 18
    assert overlap_s(SPANS, 4, 7) == 2
    assert overlap_s(SPANS, 5, 6) == 0
    assert overlap_s(np.empty((0, 2)), 0, 9) == 0
