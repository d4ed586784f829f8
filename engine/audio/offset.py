"""Takes away a constant offset (DC), as cheap microphones have, and tells how large it was.

The offset of a block is the mean of the half second before it. Sound without one passes as it is,
bit by bit.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from engine.format import CLIPPING_LEVEL, FRAME_SAMPLES

Float32 = NDArray[np.float32]

KEPT_BLOCKS, LEAST_BLOCKS = 16, 4  # of a frame each: 0.5 s, and 0.13 s at the start
# Shares of full scale: a smaller mean is that of speech, and one that was taken away has to be
# smaller still until it is left.
OFFSET, NO_OFFSET = 0.01, 0.005
STEPS = np.float64(1 << 23)  # Sums are of whole numbers, so that they are exact for any pieces.


class OffsetRemoval:
    """Of one stream at 16 kHz. ``measured`` gets each block's offset and where the block ends."""

    def __init__(self) -> None:
        self.measured: deque[tuple[int, float]] = deque(maxlen=4096)
        self._sums: deque[float] = deque(maxlen=KEPT_BLOCKS)
        self._sum, self._filled = 0.0, 0  # of the block under way
        self._end = 0  # samples so far
        self._offset = np.float32(0.0)

    def feed(self, samples: Float32) -> Float32:
        """The same samples without their offset."""
        if not len(samples):
            return samples
        first = min(FRAME_SAMPLES - self._filled, len(samples))
        starts = [0, *range(first, len(samples), FRAME_SAMPLES)]
        # Whole numbers in double precision: their sums are exact.
        sums = np.add.reduceat(np.rint(samples * STEPS), starts).tolist()
        parts: list[Float32] = []
        changed = False
        for start, end, part_sum in zip(starts, [*starts[1:], len(samples)], sums, strict=True):
            changed = changed or bool(self._offset)
            if changed:
                parts.append(self._without(samples[start:end]))
            else:
                parts = [samples[:end]]
            self._count(end - start, part_sum)
        return np.concatenate(parts) if changed else samples

    def until(self, sample: int) -> float:
        """The largest offset before ``sample`` that was not asked for before."""
        found = 0.0
        while self.measured and self.measured[0][0] <= sample:
            found = max(found, self.measured.popleft()[1], key=abs)
        return found

    def _without(self, part: Float32) -> Float32:
        if not self._offset:
            return part
        # What is cut flat stays at full scale, where it is told as clipped.
        flat = np.abs(part) >= CLIPPING_LEVEL
        return np.where(flat, part, part - self._offset)

    def _count(self, samples: int, part_sum: float) -> None:
        self._sum += part_sum
        self._filled += samples
        self._end += samples
        if self._filled < FRAME_SAMPLES:
            return
        self._sums.append(self._sum)
        self._sum, self._filled = 0.0, 0
        if len(self._sums) < LEAST_BLOCKS:
            return
        mean = sum(self._sums) / (len(self._sums) * FRAME_SAMPLES * float(STEPS))
        least = NO_OFFSET if self._offset else OFFSET
        self._offset = np.float32(mean if abs(mean) >= least else 0.0)
        if self._offset:
            self.measured.append((self._end, float(self._offset)))
