"""Companded samples of one byte (ITU-T G.711), by table: levels over full scale, in [-1, 1]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


def _mu_law_table() -> Float32:
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    magnitude = ((2 * mantissa + 33) << exponent) - 33
    return _signed(magnitude, code & 128 != 0, 8192)


def _a_law_table() -> Float32:
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    linear = 2 * mantissa + 1
    magnitude = np.where(exponent == 0, linear, (linear + 32) << np.maximum(exponent - 1, 0))
    return _signed(magnitude, code & 128 == 0, 4096)


def _signed(magnitude: NDArray[np.int32], negative: NDArray[np.bool_], full: int) -> Float32:
    return np.where(negative, -magnitude, magnitude).astype(np.float32) / np.float32(full)


MU_LAW, A_LAW = _mu_law_table(), _a_law_table()
TABLES = {"mulaw": MU_LAW, "alaw": A_LAW}
