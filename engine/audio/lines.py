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
BINS = (END - FIRST) // BANDS
QUARTER_BIN, QUARTER_OF_MEAN, LINE = BINS // 4, 0.288, 20.0
SIDE_BINS = 8  # of a line to either side of its highest, where it is 60 dB lower
MOST_KEPT = 0.5  # Where more than half of the power is in no line, all of it is kept.


class SteadyLines:
    """Finds the lines of one stream, in blocks that follow on one another."""

    def __init__(self) -> None:
        self._window = np.hanning(LINE_SAMPLES + 1)[:LINE_SAMPLES]
        self._last = np.zeros((1, END - FIRST), np.bool_)  # the peaks of the last block

    def kept(self, blocks: Float64) -> Float64:
        """The share ``(N,)`` of each block's power over 266 Hz that is in no line.

        ``blocks`` is ``(N, LINE_SAMPLES)``.
        """
        spectra = np.fft.rfft(blocks * self._window)[:, FIRST:END]
        powers = spectra.real**2 + spectra.imag**2
        bands = powers.reshape(-1, BANDS, BINS)
        noise = np.partition(bands, QUARTER_BIN, axis=2)[:, :, QUARTER_BIN, None] / QUARTER_OF_MEAN
        rises = (bands > LINE * noise).reshape(powers.shape)
        peaks = rises & _highest(powers)
        known = np.concatenate([self._last, peaks])
        self._last = known[-1:]
        # What is a peak here and was one in the block before, or beside one.
        steady = peaks & _around(known[:-1], 1)
        kept = np.ones(len(blocks))
        for row in np.flatnonzero(steady.any(axis=1)):
            lines = (_around(steady[row], SIDE_BINS) & rises[row]).reshape(BANDS, BINS)
            left = np.where(lines, noise[row], bands[row]).sum() / powers[row].sum()
            kept[row] = left if left < MOST_KEPT else 1.0
        return kept


def _highest(powers: Float64) -> Bool:
    """Where a bin ``(N, bins)`` has more than those beside it."""
    highest = np.zeros(powers.shape, np.bool_)
    inner = powers[:, 1:-1]
    highest[:, 1:-1] = (inner > powers[:, :-2]) & (inner >= powers[:, 2:])
    return highest


def _around(places: Bool, bins: int) -> Bool:
    """These places ``(..., bins)`` and so many to either side."""
    around = places.copy()
    for step in range(1, bins + 1):
        around[..., step:] |= places[..., :-step]
        around[..., :-step] |= places[..., step:]
    return around
