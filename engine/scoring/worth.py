"""What speech is worth: as much as so many seconds of usual, clean speech.

An embedding of ``d`` seconds misses its voice by noise whose variance falls as ``h / d``
(:mod:`engine.scoring.scorer`). What noise and rooms do to the sound moves it besides, by as much
however long the speech is: by ``w`` that makes ``h / d + w``, as ``1 / (1 / d + w / h)`` seconds of
clean speech would. ``w`` grows with the square of what the sound lacks of :data:`CLEAN_DB` of
signal-to-noise ratio and of clarity (C50), as the network's heads say them. So speech in noise is
never worth more than ``h / w`` seconds, however much there is of it.

It is so where the other side is clean, as enrolments are asked to be. Two spans of one stream share
their noise and their room, and are compared as they are.

And some speech tells more than other speech as long. The surer the network is, the longer is an
embedding before it is scaled to unit length: by as much as the logarithm of its magnitude exceeds
the usual one of so much speech, the speech is worth more. That calibration gains from such measures
of quality is from Thienpondt et al., "The IDLab VoxSRC-20 submission: large margin fine-tuning and
quality-aware score calibration", ICASSP 2021.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.model.manifest import HEARD, Calibration, MagnitudeFigures

CLEAN_DB = 20.0  # From here on either counts as clean,
MOST_LACKING = 1.5  # and what is estimated under -10 dB tells nothing more.
MOST_UNUSUAL = 0.3  # of the logarithm of a magnitude, which of clean speech deviates by some 0.1

UNKNOWN = (math.nan,) * HEARD

Float64 = NDArray[np.float64]


def lacking(acoustics: ArrayLike) -> Float64:
    """The squares of what sound lacks of being clean, of SNR and C50 ``(N, 2)`` in dB.

    The unit is 20 dB. What is not known (NaN) lacks nothing.
    """
    short = (CLEAN_DB - np.asarray(acoustics, np.float64)) / CLEAN_DB
    return np.square(np.minimum(np.fmax(short, 0.0), MOST_LACKING))  # fmax takes no NaN


def unusual(figures: MagnitudeFigures, speech_s: ArrayLike, magnitude: ArrayLike) -> Float64:
    """By what logarithms of magnitudes exceed the usual ones of so much speech.

    0 where that is not known (NaN).
    """
    usual = figures.usual + figures.slope * np.log(np.asarray(speech_s, np.float64))
    beyond = np.asarray(magnitude, np.float64) - usual
    return np.clip(np.nan_to_num(beyond), -MOST_UNUSUAL, MOST_UNUSUAL)


def worth_s(calibration: Calibration, speech_s: ArrayLike, heard: ArrayLike) -> Float64:
    """Seconds of usual, clean speech ``(N,)`` that so much speech is worth.

    ``heard`` ``(N, 3)`` or ``(3,)`` says how it was heard: SNR and C50 in dB, and the natural
    logarithm of its embedding's magnitude.
    """
    heard, seconds = np.asarray(heard, np.float64), np.asarray(speech_s, np.float64)
    worth, figures = seconds, calibration.magnitude
    if figures is not None:
        worth = seconds * np.exp(figures.weight * unusual(figures, seconds, heard[..., -1]))
    added = lacking(heard[..., :-1]) @ np.asarray(calibration.acoustics)
    return np.asarray(worth / (1 + worth * added / calibration.half_speech_s), np.float64)


def grown_worth_s(
    calibration: Calibration, speech_s: float, heard: ArrayLike, later_s: float
) -> float:
    """What ``later_s`` of speech would be worth that is heard as ``speech_s`` of it was, ``(3,)``.

    Its embedding would be beyond the usual one of so much speech by as much as it is now.
    """
    *acoustics, magnitude = np.asarray(heard, np.float64)
    if calibration.magnitude is not None:
        magnitude += calibration.magnitude.slope * math.log(later_s / speech_s)
    return float(worth_s(calibration, later_s, (*acoustics, magnitude)))
