"""What speech in noise or in a room is worth: as much as so many seconds of clean speech.

An embedding of ``d`` seconds misses its voice by noise whose variance falls as ``h / d``
(:mod:`engine.scoring.scorer`). What noise and rooms do to the sound moves it besides, by as much
however long the speech is: by ``w`` that makes ``h / d + w``, as ``1 / (1 / d + w / h)`` seconds of
clean speech would. ``w`` grows with the square of what the sound lacks of :data:`CLEAN_DB` of
signal-to-noise ratio and of clarity (C50), as the network's heads say them. So speech in noise is
never worth more than ``h / w`` seconds, however much there is of it.

It is so where the other side is clean, as enrolments are asked to be. Two spans of one stream share
their noise and their room, and are compared as they are.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.model.manifest import Calibration

CLEAN_DB = 20.0  # From here on either counts as clean,
MOST_LACKING = 1.5  # and what is estimated under -10 dB tells nothing more.

UNKNOWN = (math.nan, math.nan)

Float64 = NDArray[np.float64]


def lacking(acoustics: ArrayLike) -> Float64:
    """The squares of what sound lacks of being clean, of SNR and C50 ``(N, 2)`` in dB.

    The unit is 20 dB. What is not known (NaN) lacks nothing.
    """
    short = (CLEAN_DB - np.asarray(acoustics, np.float64)) / CLEAN_DB
    return np.square(np.minimum(np.fmax(short, 0.0), MOST_LACKING))  # fmax takes no NaN


def worth_s(calibration: Calibration, speech_s: ArrayLike, acoustics: ArrayLike) -> Float64:
    """Seconds of clean speech ``(N,)`` that so much speech is worth.

    ``acoustics`` are the SNR and C50, in dB, with which it was heard: ``(N, 2)``, or ``(2,)``.
    """
    seconds = np.asarray(speech_s, np.float64)
    added = lacking(acoustics) @ np.asarray(calibration.acoustics)
    return np.asarray(seconds / (1 + seconds * added / calibration.half_speech_s), np.float64)
