"""Levels of speech and of what is not, without hum: sums over sound that add up.

Everything is counted in 16-bit steps, as whole numbers. Sums of them are exact in any order,
so that the figures do not depend on how the sound was cut into pieces.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from engine.audio.lines import LINE_SAMPLES, SteadyLines
from engine.format import CLIPPING_LEVEL, INT16_STEPS, SAMPLE_RATE_HZ

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

BLOCK_SAMPLES = 256  # The level of what is not speech is taken in blocks of 16 ms.
# Mains hum with its harmonics and rumble are hardly noise to a voice: two people were told apart
# better in noise below 260 Hz that was as loud as they than in white noise 10 dB below them. So all
# below HUM_HZ is taken from each block by HUM_WAVES waves, which leave of 50 to 250 Hz less than a
# hundredth of the power. Above it steady lines are taken away (:mod:`engine.audio.lines`).
HUM_HZ, HUM_WAVES = 260.0, 10
# Bounds of levels 0.25 dB apart, in squared 16-bit steps, from 1 step to full scale.
LEVEL_BOUNDS = np.concatenate([[0.0], 10 ** (np.arange(0, 91, 0.25) / 10)])
COUNTED_SAMPLES = 8192  # Half a second is counted at once, as each count costs some 20 us.


@cache
def low_waves() -> Float64:
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
    """The sums over ``samples`` ``(N,)``, all of them speech or one pause."""
    meter = LevelMeter()
    meter.add(samples, speech=speech)
    return meter.take()


class LevelMeter:
    """Sums over one stream, whose speech and pauses come in turn in pieces of any size.

    Pauses must be cut at multiples of ``BLOCK_SAMPLES``, but for the end of the last.
    """

    def __init__(self) -> None:
        self._speech_sums, self._pause_sums = LevelSums(), LevelSums()
        self._speech: list[Float32] = []  # not counted yet
        self._pause: list[Float32] = []  # not counted yet, of the pause under way
        self._held = 0
        self._before = np.zeros(0)  # the end of what was counted of the pause
        self._lines = SteadyLines()

    def add(self, samples: Float32, *, speech: bool) -> None:
        """Add sound. It is not copied."""
        if speech:
            self._count_pause(rest=True)
            self._before = np.zeros(0)
        (self._speech if speech else self._pause).append(samples)
        self._held += len(samples)
        if self._held >= COUNTED_SAMPLES:
            self._count_speech()
            self._count_pause(rest=False)
            self._held = 0

    def take(self) -> LevelSums:
        """The sums over both since they were last taken."""
        return self.take_speech() + self.take_pauses()

    def take_speech(self) -> LevelSums:
        """The sums over speech since the last call."""
        self._count_speech()
        sums, self._speech_sums = self._speech_sums, LevelSums()
        return sums

    def take_pauses(self) -> LevelSums:
        """The sums over all else since the last call. A pause under way is cut there for good."""
        self._count_pause(rest=True)
        sums, self._pause_sums = self._pause_sums, LevelSums()
        return sums

    def _count_speech(self) -> None:
        if not self._speech:
            return
        samples = np.concatenate(self._speech)
        self._speech.clear()
        steps = _steps(samples)
        power, clipped = _power(steps), _clipped(samples)
        self._speech_sums += LevelSums(len(steps), power, clipped=clipped)

    def _count_pause(self, *, rest: bool) -> None:
        """Whole blocks that lines are looked for in, and the ``rest``, with what came before it."""
        if not self._pause:
            return
        samples = np.concatenate(self._pause)
        whole = len(samples) - len(samples) % LINE_SAMPLES
        self._pause = [] if rest or whole == len(samples) else [samples[whole:]]
        samples = samples if rest else samples[:whole]
        steps = _steps(samples)
        kept = self._lines.kept(steps[:whole].reshape(-1, LINE_SAMPLES))
        self._before = np.concatenate([self._before, steps])[-LINE_SAMPLES:]
        if len(steps) > whole:
            last = self._before.reshape(1, -1)
            known = len(self._before) == LINE_SAMPLES
            kept = np.append(kept, self._lines.kept(last) if known else 1.0)
        self._pause_sums += _pause_sums(steps, kept, _clipped(samples))


def _pause_sums(steps: Float64, kept: Float64, clipped: int) -> LevelSums:
    """Of sound that is not speech; of each ``LINE_SAMPLES`` a share is ``kept``, without lines."""
    blocks = steps[: len(steps) - len(steps) % BLOCK_SAMPLES].reshape(-1, BLOCK_SAMPLES)
    # One block at a time: so few figures wake no thread, and are the same for any pieces.
    waves = low_waves()
    low = (blocks[:, None, :] @ waves.T)[:, 0]
    hum = np.einsum("ij,ij->i", low[:, 1:], low[:, 1:])
    powers = np.maximum(np.einsum("ij,ij->i", blocks, blocks) - low[:, 0] ** 2 - hum, 0)
    lines = powers * (1 - np.repeat(kept, LINE_SAMPLES // BLOCK_SAMPLES)[: len(powers)])
    powers = (powers - lines) / (BLOCK_SAMPLES - len(waves))
    level = np.searchsorted(LEVEL_BOUNDS, powers, side="right") - 1
    return LevelSums(
        other=len(steps),
        other_power=_power(steps),
        levels=np.bincount(level, minlength=len(LEVEL_BOUNDS)),
        clipped=clipped,
        hum_power=float(np.rint(hum + lines).sum()),
    )


def _steps(samples: Float32) -> Float64:
    steps = samples.astype(np.float64)
    steps *= INT16_STEPS
    return np.rint(steps, out=steps)


def _power(steps: Float64) -> float:
    """The sum of their squares.

    Double precision adds whole numbers exactly up to 2^53: 8.7 minutes at full scale, and more
    than a hundred times as long at -21 dBFS.
    """
    # einsum is used because BLAS would wake its threads for a long piece and wait for them.
    return float(np.einsum("i,i->", steps, steps))


def _clipped(samples: Float32) -> int:
    if max(samples.max(initial=0.0), -samples.min(initial=0.0)) < CLIPPING_LEVEL:
        return 0
    return int(np.count_nonzero(np.abs(samples) >= CLIPPING_LEVEL))
