"""Fundamental frequency of a voice: YIN, on arrays.

De Cheveigne and Kawahara, "YIN, a fundamental frequency estimator for speech and music"
(JASA, 2002): the squared difference of a frame and itself ``lag`` samples later, relative
to its mean over all shorter lags; the first dip under a threshold is the period.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ

LOWEST_HZ, HIGHEST_HZ = 60.0, 450.0
WINDOW = 640  # 40 ms: two periods of the lowest voice and more
HOP = 320  # samples from one frame to the next: 20 ms
LAGS = int(SAMPLE_RATE_HZ / LOWEST_HZ) + 2
SHORTEST = int(SAMPLE_RATE_HZ / HIGHEST_HZ)
DIP = 0.15  # of the normalised difference: the paper finds 0.1 to 0.2 equally good
QUIET = 0.05  # frames under this share of the mean power are no vowels
FEWEST_FRAMES = 15  # voiced, 0.3 s: fewer say nothing of a voice
MOST_SAMPLES = 20 * SAMPLE_RATE_HZ

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


def median_f0(speech: Float32) -> float | None:
    """Median F0 in Hz of the voiced frames of net speech ``(samples,)`` at 16 kHz.

    ``None`` where too little of it is voiced. Only the first 20 s are looked at.
    """
    found = voiced_f0(speech[:MOST_SAMPLES])
    return float(np.median(found)) if len(found) >= FEWEST_FRAMES else None


def voiced_f0(speech: Float32) -> Float64:
    """F0 in Hz of every voiced frame, one each 20 ms at most."""
    count = (len(speech) - WINDOW - LAGS) // HOP + 1
    if count < 1:
        return np.empty(0)
    at = HOP * np.arange(count)[:, None] + np.arange(WINDOW + LAGS)
    frames = speech.astype(np.float64)[at]
    power = np.mean(frames**2, axis=1)
    frames = frames[power > QUIET * power.mean()]
    normalised = _normalised(_difference(frames))
    return np.array([f0 for row in normalised if (f0 := _f0(row)) is not None], np.float64)


def _difference(frames: Float64) -> Float64:
    """Squared difference ``(N, LAGS)`` of each frame's window and itself at every lag."""
    size = 1 << (WINDOW + LAGS - 1).bit_length()
    whole = np.fft.rfft(frames, size)
    window = np.fft.rfft(frames[:, :WINDOW], size)
    product = np.fft.irfft(whole * window.conj(), size)[:, :LAGS]
    energy = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1)
    moved = energy[:, WINDOW : WINDOW + LAGS] - energy[:, :LAGS]
    return np.asarray(np.maximum(moved[:, :1] + moved - 2 * product, 0.0), np.float64)


def _normalised(difference: Float64) -> Float64:
    sums = np.cumsum(difference[:, 1:], axis=1)
    relative = np.ones_like(difference)
    relative[:, 1:] = difference[:, 1:] * np.arange(1, LAGS) / np.maximum(sums, 1e-12)
    return relative


def _f0(row: Float64) -> float | None:
    below = np.flatnonzero(row[SHORTEST : LAGS - 1] < DIP)
    if not len(below):
        return None
    lag = SHORTEST + int(below[0])
    while lag + 1 < LAGS - 1 and row[lag + 1] < row[lag]:
        lag += 1
    before, here, after = row[lag - 1 : lag + 2]
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend > 0 else 0.0  # parabola through the dip
    return float(SAMPLE_RATE_HZ / (lag + shift))
