"""A system under test that takes people for the same who are equally loud."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.scoring.scorer import CalibratedScores

Float32 = NDArray[np.float32]


class Loudness:
    """Embeds how loud a sound is; two sounds go together as far as that is alike."""

    name = "loudness"
    min_speech_s = 0.1

    def embed(self, waveforms: Float32) -> Float32:
        return np.abs(waveforms).max(axis=1, keepdims=True).astype(np.float32)

    def score(
        self,
        enrol: Float32,
        enrol_s: NDArray[np.float64],
        test: Float32,
        test_s: NDArray[np.float64],
        pairs: NDArray[np.intp],
    ) -> CalibratedScores:
        llr = 9.0 - 100 * np.abs(enrol[pairs[:, 0], 0] - test[pairs[:, 1], 0]).astype(float)
        return CalibratedScores(llr, llr, llr)
