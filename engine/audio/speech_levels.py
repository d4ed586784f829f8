"""How loud a stream's speech was, by its place in it: blocks of 0.1 s, for as long as they matter.

Counted in 16-bit steps as whole numbers, so that the figures do not depend on how the sound was
cut into pieces.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from engine.format import INT16_STEPS, SAMPLE_RATE_HZ

Float32 = NDArray[np.float32]

BLOCK_SAMPLES = SAMPLE_RATE_HZ // 10  # 0.1 s
KEPT_BLOCKS = 700  # 70 s of net speech, more than decisions look back
SILENT_DBFS = -100.0  # stands for the level of zeros


class SpeechLevels:
    """Levels of net speech, a block after the other."""

    def __init__(self) -> None:
        self._dbfs: list[float] = []  # of whole blocks
        self._first = 0  # number of the first of them
        self._power, self._samples = 0.0, 0  # of the block that is not whole yet

    def push(self, samples: Float32) -> None:
        """Speech that follows on what was pushed before."""
        start = 0
        while start < len(samples):
            piece = samples[start : start + BLOCK_SAMPLES - self._samples]
            steps = np.rint(piece.astype(np.float64) * INT16_STEPS)
            self._power += float(np.einsum("i,i->", steps, steps))  # exact, as in `level_sums`
            self._samples += len(piece)
            start += len(piece)
            if self._samples == BLOCK_SAMPLES:
                self._close()

    def median_dbfs(self, start: int, end: int) -> float | None:
        """The middle level of the whole blocks in net speech ``[start, end)``.

        ``None`` where it holds none that is kept.
        """
        first = max(-(-start // BLOCK_SAMPLES) - self._first, 0)
        inside = self._dbfs[first : max(end // BLOCK_SAMPLES - self._first, 0)]
        return sorted(inside)[len(inside) // 2] if inside else None

    def _close(self) -> None:
        level = 10 * math.log10(self._power / BLOCK_SAMPLES / INT16_STEPS**2 + 1e-10)
        self._dbfs.append(max(level, SILENT_DBFS))
        self._power, self._samples = 0.0, 0
        if len(self._dbfs) > 2 * KEPT_BLOCKS:
            self._first += len(self._dbfs) - KEPT_BLOCKS
            del self._dbfs[:-KEPT_BLOCKS]
