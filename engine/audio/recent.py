"""The last seconds of a stream's sound, for whoever wants to hear them again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.format import INT16_STEPS

Float32 = NDArray[np.float32]
Int16 = NDArray[np.int16]


class RecentSound:
    """A ring of the last ``most`` samples at 16 kHz, as 16 bits: two bytes a sample, no more.

    ``start`` is the sample of the stream that comes next.
    """

    def __init__(self, most: int, start: int) -> None:
        self._ring: Int16 = np.zeros(most, np.int16)
        self._first = self.end = start

    def add(self, samples: Float32) -> None:
        """Sound ``(N,)`` that follows."""
        most, count = len(self._ring), len(samples)
        last = samples[-most:]
        steps = np.clip(np.rint(last * INT16_STEPS), -INT16_STEPS, INT16_STEPS - 1)
        places = np.arange(self.end + count - len(last), self.end + count) % most
        self._ring[places] = steps.astype(np.int16)
        self.end += count

    @property
    def begin(self) -> int:
        """The oldest sample of the stream that is there still."""
        return max(self._first, self.end - len(self._ring))

    def piece(self, since: int, until: int) -> Int16:
        """A copy of what is there still of the samples from ``since`` until before ``until``."""
        places = np.arange(max(since, self.begin), min(until, self.end))
        return self._ring[places % len(self._ring)]
