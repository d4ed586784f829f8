"""Other voices made of one: said faster, and through a shorter or longer vocal tract.

A speaker's voice is changed in two ways that are free of each other. Played faster, both its pitch
and its formants rise; with its formants moved alone the pitch stays. A corpus of few voices so
becomes one of many, for whoever can say anew whom each of them sounds like: a teacher.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ

FRAME = 512  # samples, 32 ms
HOP = 128
QUEFRENCIES = 40  # of the cepstrum that are the envelope: up to 2.5 ms, shorter than most periods
FADED = 10  # of them fall off to nothing
MOST_GAIN = 3.0  # of a bin, natural logarithm of the amplitude
FLOOR = 1e-5  # amplitude under which a bin is silent

Float32 = NDArray[np.float32]
WINDOW = np.hanning(FRAME + 1)[:-1].astype(np.float32)


def at_speed(speech: Float32, speed: float) -> Float32:
    """Speech ``(samples,)`` said ``speed`` times as fast, and as much higher with it."""
    if speed == 1.0:
        return speech
    rate = SAMPLE_RATE_HZ * speed
    return np.asarray(soxr.resample(speech, rate, SAMPLE_RATE_HZ, quality="MQ"), np.float32)


def with_formants_at(speech: Float32, factor: float) -> Float32:
    """Speech ``(samples,)`` with its formants at ``factor`` times their frequency, pitch as it was.

    The envelope of each frame of the spectrum, by its cepstrum, is stretched along frequency.
    """
    if factor == 1.0:
        return speech
    padded = np.pad(speech, (FRAME, FRAME + HOP))
    spectrum = np.fft.rfft(sliding_window_view(padded, FRAME)[::HOP] * WINDOW, axis=1)
    envelope = _envelope(np.abs(spectrum).astype(np.float32))
    bins = np.arange(FRAME // 2 + 1, dtype=np.float32)
    source = np.minimum(bins / np.float32(factor), bins[-1])
    below = source.astype(np.int64)
    above, share = np.minimum(below + 1, FRAME // 2), source - below
    moved = envelope[:, below] * (1 - share) + envelope[:, above] * share
    gain = np.exp(np.clip(moved - envelope, -MOST_GAIN, MOST_GAIN))
    frames = np.fft.irfft(spectrum * gain, axis=1).astype(np.float32) * WINDOW
    return _overlapped(frames)[FRAME : FRAME + len(speech)]


def _envelope(amplitude: Float32) -> Float32:
    """Logarithm of the smooth part of spectra ``(frames, bins)``."""
    kept = np.zeros(FRAME, np.float32)
    kept[:QUEFRENCIES] = 1
    kept[QUEFRENCIES - FADED : QUEFRENCIES] = np.linspace(1, 0, FADED)
    kept[1 - QUEFRENCIES :] = kept[QUEFRENCIES - 1 : 0 : -1]
    cepstrum = np.fft.irfft(np.log(amplitude + FLOOR), axis=1)
    return np.fft.rfft(cepstrum * kept, axis=1).real.astype(np.float32)


def _overlapped(frames: Float32) -> Float32:
    """Sound of windowed frames ``(frames, FRAME)``, each ``HOP`` after the one before."""
    total = np.zeros(len(frames) * HOP + FRAME, np.float32)
    weight = np.zeros_like(total)
    for first in range(FRAME // HOP):
        own = frames[first :: FRAME // HOP]
        place = slice(first * HOP, first * HOP + own.size)
        total[place] += own.ravel()
        weight[place] += np.tile(WINDOW**2, len(own))
    total /= np.maximum(weight, 1e-3)
    return total
