"""Measures whether sound is good enough to verify a voice by: level, clipping and noise."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.audio.files import MAX_CLIPPED
from engine.audio.levels import LEVEL_BOUNDS, LevelMeter, LevelSums
from engine.events import Problem
from engine.format import INT16_STEPS

Float32 = NDArray[np.float32]

# Quieter speech lies within some 15 dB of a laptop microphone's own noise.
QUIET_DBFS = -45.0
# This is the middle of the 5 to 15 dB at which noise raises the bundled model's error rate at 3 s
# from 5.5 to 7.9 % (models/REPORT.md).
NOISY_SNR_DB = 10.0
LEAST_SNR_DB, MOST_SNR_DB = -10.0, 60.0  # An estimate beyond these tells nothing more.
LEAST_BLOCKS = 8  # With fewer blocks outside speech the noise is not known.
# Of the blocks outside speech the quieter quarter is the noise: onsets that the detector
# missed, doors and keys are in the rest.
NOISE_SHARE = 0.25
# Hum is named from this power on, as a share of full scale (an amplitude of 1.4 %), where it is so
# many times that of the rest outside speech. Means are no hum: they are a constant offset, which
# the start of a stream still has.
HUM_POWER, HUM_RATIO = 1e-4, 4.0
OFFSET_LEVEL = 0.015  # A constant offset from 1.5 % of full scale on is named.
PEAK_SAMPLES = 320  # A peak is the highest level within 20 ms.
HELD_PEAKS = 500  # Peaks of 10 s are held, and the oldest are dropped if nobody takes them.


@dataclass(frozen=True, slots=True)
class QualityFigures:
    """The quality of some sound. The fields are those of :class:`engine.events.Quality`."""

    level_dbfs: float | None
    clipped: float
    snr_db: float | None
    speech_share: float
    problems: tuple[Problem, ...]


def quality_figures(
    sound: LevelSums, noise: LevelSums | None = None, offset: float = 0.0
) -> QualityFigures:
    """The figures of ``sound``, whose noise is taken from outside the speech of ``noise``.

    Without ``noise`` it is taken from ``sound`` itself. ``offset`` was taken away from it.
    """
    total = sound.speech + sound.other
    level = _level_dbfs(sound)
    snr = _snr_db(sound, noise or sound)
    clipped = sound.clipped / total if total else 0.0
    problems: list[Problem] = []
    if not sound.speech:
        problems.append("no-speech")
    elif level is None or level < QUIET_DBFS:
        problems.append("quiet")
    if clipped > MAX_CLIPPED:
        problems.append("clipped")
    if snr is not None and snr < NOISY_SNR_DB:
        problems.append("noisy")
    if abs(offset) >= OFFSET_LEVEL:
        problems.append("dc-offset")
    if _hums(noise or sound):
        problems.append("hum")
    share = sound.speech / total if total else 0.0
    return QualityFigures(level, round(clipped, 5), snr, round(share, 3), tuple(problems))


def _level_dbfs(sound: LevelSums) -> float | None:
    power, samples = sound.speech_power, sound.speech
    if not samples:
        power, samples = sound.other_power, sound.other
    return round(10 * math.log10(power / samples / INT16_STEPS**2), 1) if power else None


def _snr_db(sound: LevelSums, noise: LevelSums) -> float | None:
    """The power of speech less that of the noise, over the power of the noise, in dB."""
    if not sound.speech or not _knows_noise(noise):
        return None
    assert noise.levels is not None
    below = np.cumsum(noise.levels)
    noise_power = LEVEL_BOUNDS[int(np.searchsorted(below, NOISE_SHARE * below[-1]))]
    if not noise_power:  # digital silence
        return MOST_SNR_DB
    ratio = sound.speech_power / sound.speech / noise_power
    least = 10 ** (LEAST_SNR_DB / 10)
    return round(min(10 * math.log10(max(ratio - 1, least)), MOST_SNR_DB), 1)


def _hums(noise: LevelSums) -> bool:
    if not noise.other:
        return False
    hum, rest = noise.hum_power, noise.other_power - noise.hum_power
    return hum > HUM_POWER * INT16_STEPS**2 * noise.other and hum > HUM_RATIO * rest


def _knows_noise(sound: LevelSums) -> bool:
    return sound.levels is not None and int(sound.levels.sum()) >= LEAST_BLOCKS


class QualityMeter:
    """Measures one stream, period after period. It keeps the noise level of earlier pauses."""

    def __init__(self) -> None:
        self._levels = LevelMeter()
        self._period, self._turn = LevelSums(), LevelSums()  # of the turn: speech only
        self._noise: LevelSums | None = None
        self._offset = 0.0

    def add(self, samples: Float32, *, speech: bool) -> None:
        """Add sound of the current period, as :class:`LevelMeter` wants it. It is not copied."""
        self._levels.add(samples, speech=speech)

    def take(self, offset: float = 0.0) -> QualityFigures:
        """The figures of the period that ends here, with its offset. The next one begins."""
        speech = self._levels.take_speech()
        self._turn += speech
        period, self._period = self._period + speech + self._levels.take_pauses(), LevelSums()
        if _knows_noise(period):
            self._noise = period
        self._offset = offset
        return quality_figures(period, self._noise, offset)

    def take_turn(self) -> QualityFigures:
        """The figures of the speech since the turn before. Noise is that of earlier periods."""
        speech = self._levels.take_speech()
        self._period += speech
        turn, self._turn = self._turn + speech, LevelSums()
        return quality_figures(turn, self._noise or LevelSums(), self._offset)


class PeakMeter:
    """Measures peaks of a stream for a display. They are never part of its events."""

    def __init__(self) -> None:
        self._peaks: deque[int] = deque(maxlen=HELD_PEAKS)
        self._rest = np.zeros(0, np.float32)

    def add(self, samples: Float32) -> None:
        """Add sound at 16 kHz, in pieces of any size."""
        joined = np.concatenate([self._rest, samples])
        whole = len(joined) - len(joined) % PEAK_SAMPLES
        self._rest = joined[whole:].copy()
        blocks = np.abs(joined[:whole]).reshape(-1, PEAK_SAMPLES)
        peaks = np.minimum(np.rint(blocks.max(axis=1) * 127), 127).astype(int)
        self._peaks.extend(peaks.tolist())

    def take(self) -> list[int]:
        """The peak of each 20 ms since the last call, from 0 to 127, which is full scale."""
        peaks = list(self._peaks)
        self._peaks.clear()
        return peaks
