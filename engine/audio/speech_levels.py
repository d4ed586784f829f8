"""How loud a stream's speech was, by its place in it: blocks of 0.1 s, for as long as they matter.

Counted in 16-bit steps as whole numbers, so that the figures do not depend on how the sound was
cut into pieces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.format import INT16_STEPS, SAMPLE_RATE_HZ

Float32 = NDArray[np.float32]

BLOCK_SAMPLES = SAMPLE_RATE_HZ // 10  # 0.1 s
KEPT_BLOCKS = 700  # 70 s of net speech, more than decisions look back
COUNTED_SAMPLES = 8192  # Half a second is counted at once, as each count costs some 20 us.
SILENT_DBFS = -100.0  # stands for the level of zeros


class SpeechLevels:
    """Levels of net speech, a block after the other."""

    def __init__(self) -> None:
        self._dbfs = np.zeros(0)  # of whole blocks
        self._first = 0  # number of the first of them
        self._uncounted: list[Float32] = []
        self._samples = 0  # in those

    def push(self, samples: Float32) -> None:
        """Speech that follows on what was pushed before. It is not copied."""
        self._uncounted.append(samples)
        self._samples += len(samples)
        if self._samples >= COUNTED_SAMPLES:
            self._count()

    def median_dbfs(self, start: int, end: int) -> float | None:
        """The middle level of the whole blocks in net speech ``[start, end)``.

        ``None`` where it holds none that is kept.
        """
        self._count()
        first = max(-(-start // BLOCK_SAMPLES) - self._first, 0)
        inside = self._dbfs[first : max(end // BLOCK_SAMPLES - self._first, 0)]
        middle = len(inside) // 2
        return float(np.partition(inside, middle)[middle]) if len(inside) else None

    def _count(self) -> None:
        """The levels of the blocks that have become whole."""
        if self._samples < BLOCK_SAMPLES:
            return
        joined = np.concatenate(self._uncounted)
        whole = len(joined) - len(joined) % BLOCK_SAMPLES
        steps = np.rint(joined[:whole].astype(np.float64) * INT16_STEPS)
        blocks = steps.reshape(-1, BLOCK_SAMPLES)
        power = np.einsum("ij,ij->i", blocks, blocks)  # exact, as in `level_sums`
        level = 10 * np.log10(power / BLOCK_SAMPLES / INT16_STEPS**2 + 1e-10)
        self._dbfs = np.concatenate([self._dbfs, np.maximum(level, SILENT_DBFS)])
        self._uncounted, self._samples = [joined[whole:].copy()], len(joined) - whole
        if len(self._dbfs) > 2 * KEPT_BLOCKS:
            self._first += len(self._dbfs) - KEPT_BLOCKS
            self._dbfs = self._dbfs[-KEPT_BLOCKS:]
