"""Steady lines in sound that is not speech: mains hum and its harmonics, chargers, displays, fans.

A line is narrower than anything that is said or blows: in the spectrum of an eighth of a second it
rises out of what is beside it, and in the next its highest is where it was. Harmonics of a voice
rise, too, and move: 7 % of the eighths of a second of 150 people (Common Voice) kept less than half
of their power without lines, and of a hum of any pitch it is all but the first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

LINE_SAMPLES = 2048  # 128 ms at 16 kHz, in which the lines of 50 Hz and its harmonics are apart
FIRST, END, BANDS = 34, 1002, 22  # bins of 7.8 Hz from 266 Hz to 7.8 kHz, in bands of 344 Hz
# The quietest quarter of a band's bins is that of its noise, whose power is distributed
# exponentially: of its mean the quarter lies at 0.288. A line has so many times the mean.
QUARTER, QUARTER_OF_MEAN, LINE = 0.25, 0.288, 20.0
SIDE_BINS = 8  # of a line to either side of its highest, where it is 60 dB lower
MOST_KEPT = 0.5  # Where more than half of the power is in no line, all of it is kept.


class SteadyLines:
    """Finds the lines of one stream, in blocks that follow on one another."""

    def __init__(self) -> None:
        self._window = np.hanning(LINE_SAMPLES + 1)[:LINE_SAMPLES]
        # Where lines of the last block may be in the next one.
        self._last = np.zeros(END - FIRST, np.bool_)

    def kept(self, blocks: Float64) -> Float64:
        """The share ``(N,)`` of each block's power over 266 Hz that is in no line.

        ``blocks`` is ``(N, LINE_SAMPLES)``.
        """
        return np.array([self._kept(block) for block in blocks])

    def _kept(self, block: Float64) -> float:
        spectrum = np.fft.rfft(block * self._window)[FIRST:END]
        powers = (spectrum.real**2 + spectrum.imag**2).reshape(BANDS, -1)
        quarter = int(QUARTER * powers.shape[1])
        mean = np.partition(powers, quarter, axis=1)[:, quarter, None] / QUARTER_OF_MEAN
        rises = (powers > LINE * mean).ravel()
        peaks = rises & _highest(powers.ravel())
        steady = _around(peaks & self._last, SIDE_BINS) & rises
        self._last = _around(peaks, 1)
        lines = steady.reshape(BANDS, -1)
        whole = float(powers.sum())
        kept = float(np.where(lines, mean, powers).sum()) / whole if whole else 1.0
        return kept if kept < MOST_KEPT else 1.0


def _highest(powers: Float64) -> Bool:
    """Where a bin has more than those beside it."""
    highest = np.zeros(len(powers), np.bool_)
    highest[1:-1] = (powers[1:-1] > powers[:-2]) & (powers[1:-1] >= powers[2:])
    return highest


def _around(places: Bool, bins: int) -> Bool:
    """These places and so many to either side."""
    return np.convolve(places, np.ones(2 * bins + 1), "same") > 0.5
