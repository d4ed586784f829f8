"""Keeps recent samples by their index: appended at the end and dropped from the start."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

SMALLEST_SAMPLES = 8192  # The first buffer holds half a second at 16 kHz.


class AudioBuffer:
    """A queue of samples that is linear in time for pieces of any size.

    What was written is never written again: a full buffer is left to those who still read
    it and a fresh one takes over. So slices are views, without a copy, and stay true for
    as long as anybody keeps them, in any thread.
    """

    def __init__(self, start: int = 0) -> None:
        """Nothing is held yet; the first sample to come has the index ``start``."""
        self._buffer = np.empty(SMALLEST_SAMPLES, np.float32)
        self._origin = start  # index of the buffer's first sample
        self.start = self.end = start  # what is held

    def append(self, samples: Float32) -> None:
        """``samples`` ``(N,)``, float32, at the end. Raises ``ValueError`` for another type."""
        if self.end - self._origin + len(samples) > len(self._buffer):
            self._renew(len(samples))
        at = self.end - self._origin
        # Through a memoryview, which keeps the interpreter's lock: numpy gives it up for long
        # copies, and to get it back from busy threads costs more than the copy.
        self._buffer.data[at : at + len(samples)] = samples.data
        self.end += len(samples)

    def slice(self, start: int, end: int) -> Float32:
        """A view of the samples from ``start`` to ``end``, both held, not to be written to."""
        if not self.start <= start <= end <= self.end:
            raise IndexError(f"{start} to {end} is not within {self.start} to {self.end}")
        return self._buffer[start - self._origin : end - self._origin]

    def forget(self, before: int) -> None:
        """Drop the samples before an index. The indices of the others do not change."""
        self.start = min(max(self.start, before), self.end)

    def _renew(self, more: int) -> None:
        # Twice what is held: copying it once for as many new samples is linear in all.
        held = self.slice(self.start, self.end)
        self._buffer = np.empty(max(SMALLEST_SAMPLES, 2 * (len(held) + more)), np.float32)
        self._buffer[: len(held)] = held
        self._origin = self.start
