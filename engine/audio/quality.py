"""Measures whether sound is good enough to verify a voice by: level, clipping and noise.

Everything is counted in 16-bit steps, as whole numbers. Sums of them are exact in any order,
so that the figures do not depend on how the sound was cut into pieces.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from engine.audio.files import MAX_CLIPPED
from engine.events import Problem
from engine.format import CLIPPING_LEVEL, INT16_STEPS, SAMPLE_RATE_HZ

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

# Quieter speech lies within some 15 dB of a laptop microphone's own noise.
QUIET_DBFS = -45.0
# This is the middle of the 5 to 15 dB at which noise raises the bundled model's error rate at 3 s
# from 5.5 to 7.9 % (models/REPORT.md).
NOISY_SNR_DB = 10.0
LEAST_SNR_DB, MOST_SNR_DB = -10.0, 60.0  # An estimate beyond these tells nothing more.
BLOCK_SAMPLES = 256  # The level of what is not speech is taken in blocks of 16 ms.
LEAST_BLOCKS = 8  # With fewer blocks outside speech the noise is not known.
# Of the blocks outside speech the quieter quarter is the noise: onsets that the detector
# missed, doors and keys are in the rest.
NOISE_SHARE = 0.25
# Mains hum with its harmonics and rumble are hardly noise to a voice: two people were told apart
# better in noise below 260 Hz that was as loud as they than in white noise 10 dB below them. So all
# below HUM_HZ is taken from each block by HUM_WAVES waves, which leave of 50 to 250 Hz less than a
# hundredth of the power. Hum is named from this power on, as a share of full scale (an amplitude of
# 1.4 %), where it is so many times that of the rest outside speech. Means are no hum: they are a
# constant offset, which the start of a stream still has.
HUM_HZ, HUM_WAVES = 260.0, 10
HUM_POWER, HUM_RATIO = 1e-4, 4.0
OFFSET_LEVEL = 0.015  # A constant offset from 1.5 % of full scale on is named.
# Bounds of levels 0.25 dB apart, in squared 16-bit steps, from 1 step to full scale.
LEVEL_BOUNDS = np.concatenate([[0.0], 10 ** (np.arange(0, 91, 0.25) / 10)])
COUNTED_SAMPLES = 8192  # Half a second is counted at once, as each count costs some 20 us.
PEAK_SAMPLES = 320  # A peak is the highest level within 20 ms.
HELD_PEAKS = 500  # Peaks of 10 s are held, and the oldest are dropped if nobody takes them.


@cache
def low_waves() -> NDArray[np.float64]:
    """Unit rows ``(1 + HUM_WAVES, BLOCK_SAMPLES)``: the mean, and waves for tones below HUM_HZ.

    These are the principal components of all such tones in a block (Slepian's sequences).
    """
    turns = np.outer(np.linspace(0, HUM_HZ, 256), np.arange(BLOCK_SAMPLES)) / SAMPLE_RATE_HZ
    tones = np.concatenate([np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)])
    tones -= tones.mean(axis=1, keepdims=True)
    mean = np.full((1, BLOCK_SAMPLES), BLOCK_SAMPLES**-0.5)
    return np.concatenate([mean, np.linalg.svd(tones, full_matrices=False)[2][:HUM_WAVES]])


@dataclass(frozen=True, slots=True, eq=False)
class LevelSums:
    """Sums over some sound, separate for speech and the rest. Those of its pieces add up.

    ``speech_power`` and ``other_power`` are sums of squared 16-bit steps, ``hum_power`` is the part
    of the latter that is hum; ``levels`` counts the blocks outside speech by their level without
    hum; the others count samples.
    """

    speech: int = 0
    speech_power: float = 0.0
    other: int = 0
    other_power: float = 0.0
    levels: Int64 | None = None
    clipped: int = 0
    hum_power: float = 0.0

    def __add__(self, more: LevelSums) -> LevelSums:
        levels = self.levels if more.levels is None else more.levels
        if self.levels is not None and more.levels is not None:
            levels = self.levels + more.levels
        return LevelSums(
            self.speech + more.speech,
            self.speech_power + more.speech_power,
            self.other + more.other,
            self.other_power + more.other_power,
            levels,
            self.clipped + more.clipped,
            self.hum_power + more.hum_power,
        )


def level_sums(samples: Float32, *, speech: bool) -> LevelSums:
    """The sums over ``samples`` ``(N,)``, all of them speech or none.

    Sound that is not speech must be cut at multiples of ``BLOCK_SAMPLES``, but for its end.
    """
    steps = samples.astype(np.float64)
    steps *= INT16_STEPS
    np.rint(steps, out=steps)
    # Double precision adds whole numbers exactly up to 2^53: 8.7 minutes at full scale, and more
    # than a hundred times as long at -21 dBFS.
    # einsum is used because BLAS would wake its threads for a long piece and wait for them.
    power = float(np.einsum("i,i->", steps, steps))
    clipped = 0
    if max(samples.max(initial=0.0), -samples.min(initial=0.0)) >= CLIPPING_LEVEL:
        clipped = int(np.count_nonzero(np.abs(samples) >= CLIPPING_LEVEL))
    if speech:
        return LevelSums(speech=len(samples), speech_power=power, clipped=clipped)
    blocks = steps[: len(steps) - len(steps) % BLOCK_SAMPLES].reshape(-1, BLOCK_SAMPLES)
    # One block at a time: so few figures wake no thread, and are the same for any pieces.
    waves = low_waves()
    low = (blocks[:, None, :] @ waves.T)[:, 0]
    hum = np.einsum("ij,ij->i", low[:, 1:], low[:, 1:])
    powers = np.einsum("ij,ij->i", blocks, blocks) - low[:, 0] ** 2 - hum
    powers = np.maximum(powers, 0) / (BLOCK_SAMPLES - len(waves))
    level = np.searchsorted(LEVEL_BOUNDS, powers, side="right") - 1
    levels = np.bincount(level, minlength=len(LEVEL_BOUNDS))
    return LevelSums(
        other=len(samples),
        other_power=power,
        levels=levels,
        clipped=clipped,
        hum_power=float(np.rint(hum).sum()),
    )


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
        self._period = LevelSums()
        self._turn = LevelSums()  # speech only
        self._noise: LevelSums | None = None
        self._offset = 0.0
        self._uncounted: dict[bool, list[Float32]] = {True: [], False: []}  # by whether speech
        self._held = 0

    def add(self, samples: Float32, *, speech: bool) -> None:
        """Add sound of the current period, as :func:`level_sums` wants it. It is not copied."""
        self._uncounted[speech].append(samples)
        self._held += len(samples)
        if self._held >= COUNTED_SAMPLES:
            self._count()

    def take(self, offset: float = 0.0) -> QualityFigures:
        """The figures of the period that ends here, with its offset. The next one begins."""
        self._count()
        period, self._period = self._period, LevelSums()
        if _knows_noise(period):
            self._noise = period
        self._offset = offset
        return quality_figures(period, self._noise, offset)

    def take_turn(self) -> QualityFigures:
        """The figures of the speech since the turn before. Noise is that of earlier periods."""
        self._count()
        turn, self._turn = self._turn, LevelSums()
        return quality_figures(turn, self._noise or LevelSums(), self._offset)

    def _count(self) -> None:
        for speech, pieces in self._uncounted.items():
            if pieces:
                sums = level_sums(np.concatenate(pieces), speech=speech)
                self._period += sums
                if speech:
                    self._turn += sums
                pieces.clear()
        self._held = 0


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
