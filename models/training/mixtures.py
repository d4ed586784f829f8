"""Mixtures with known truth: two voices, a room, noise, a telephone line.

Of every block of 0.1 s it is known whether two voices are active at once, how far speech is
above noise, and what clarity (C50) the room has. Brouhaha (Lavechin et al., ASRU 2023) labels
its training data in the same way, from what went into it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from models.network.streaming import BLOCK_S
from models.sound.corpus import Corpus
from models.sound.degradations import PEAK, clarity_db, power, reverberate, telephone

BLOCK_SAMPLES = round(BLOCK_S * SAMPLE_RATE_HZ)
LENGTH_BLOCKS = 60
LENGTH_SAMPLES = LENGTH_BLOCKS * BLOCK_SAMPLES

PIECE_S = (1.5, 6.0)  # of one speaker; then the next speaks, at once
PIECE_LEVEL_DB = (-3.0, 3.0)
SECOND_VOICE = 0.6  # of the mixtures
OVERLAPS = (1, 2)  # stretches of a second voice in a mixture that has one
OVERLAP_S = (0.5, 3.0)
OVERLAP_LEVEL_DB = (-10.0, 10.0)  # of the second voice beside the first, over the stretch
ACTIVE_DB = -20.0  # a voice is active in a block that is no further below its mean power

REVERBERANT = 0.6  # of the mixtures
NOISY = 0.8
NOISE_SNR_DB = (-5.0, 25.0)  # of a mixture as a whole
SNR_WINDOW_BLOCKS = 21  # over which the ratio of a block is taken, the block in its middle
SNR_BOUNDS_DB = (-10.0, 30.0)  # the truth is cut off there
C50_BOUNDS_DB = (-10.0, 30.0)
ON_THE_TELEPHONE = 0.15
PEAK_DB = (-26.0, -1.0)  # of full scale
QUIETEST = 1e-9  # power: what is under it is no sound

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Mixture:
    """Sound ``(LENGTH_SAMPLES,)`` and its truth ``(LENGTH_BLOCKS, 3)``.

    Columns as :data:`models.network.block_heads.HEADS`, the first being 1 where two voices are
    active and 0 elsewhere. What is not known is NaN: a recording that no noise or no room was
    added to has some of its own.
    """

    sound: Float32
    truth: Float32


class Mixtures:
    """Draws mixtures of some speakers with some noise and some rooms."""

    def __init__(
        self, corpus: Corpus, speakers: Sequence[str], noise: Float32, rooms: Sequence[Float32]
    ) -> None:
        """``noise (samples,)`` is joined pieces, each of ``rooms`` an impulse response.

        At least two speakers are needed, and ``noise`` that is longer than a mixture.
        """
        self._corpus, self._speakers = corpus, list(speakers)
        self._noise, self._rooms = noise, rooms
        self._clarity_db = [float(np.clip(clarity_db(r), *C50_BOUNDS_DB)) for r in rooms]

    def draw(self, rng: np.random.Generator) -> Mixture:
        """All randomness is from ``rng``."""
        first, heard = self._talk(rng)
        second = np.zeros_like(first)
        if rng.random() < SECOND_VOICE:
            second = self._second(first, heard, rng)
        overlap = active_blocks(first) & active_blocks(second)
        speech, c50_db = first + second, math.nan
        if rng.random() < REVERBERANT:
            room = int(rng.integers(len(self._rooms)))
            speech, c50_db = reverberate(speech, self._rooms[room]), self._clarity_db[room]
        noise = self._noise_for(speech, rng) if rng.random() < NOISY else None
        sound = speech if noise is None else speech + noise
        gain = PEAK * 10 ** (rng.uniform(*PEAK_DB) / 20) / max(float(np.abs(sound).max()), 1e-6)
        sound = sound * np.float32(gain)
        if rng.random() < ON_THE_TELEPHONE:
            # The line takes from speech and noise what it does, and the truth is what is left.
            speech = telephone(speech * np.float32(gain))
            noise = None if noise is None else telephone(noise * np.float32(gain))
            sound = telephone(sound)
        truth = np.full((LENGTH_BLOCKS, 3), math.nan, np.float32)
        truth[:, 0], truth[:, 2] = overlap, c50_db
        if noise is not None:
            truth[:, 1] = local_snr_db(speech, noise)
        return Mixture(sound.astype(np.float32), truth)

    def _talk(self, rng: np.random.Generator) -> tuple[Float32, set[str]]:
        """One voice at a time, without a pause, and who they are."""
        sound, position, heard = np.zeros(LENGTH_SAMPLES, np.float32), 0, set()
        while position < LENGTH_SAMPLES:
            name = self._speakers[rng.integers(len(self._speakers))]
            piece = self._piece(name, rng.uniform(*PIECE_S), rng)[: LENGTH_SAMPLES - position]
            gain = 10 ** (rng.uniform(*PIECE_LEVEL_DB) / 20) / math.sqrt(power(piece) + QUIETEST)
            sound[position : position + len(piece)] = np.float32(gain) * piece
            position += len(piece)
            heard.add(name)
        return sound, heard

    def _second(self, first: Float32, heard: set[str], rng: np.random.Generator) -> Float32:
        """Stretches of somebody else, each at its level beside ``first``."""
        sound = np.zeros_like(first)
        others = [s for s in self._speakers if s not in heard]
        if not others:
            return sound
        name = others[rng.integers(len(others))]
        for _ in range(rng.integers(OVERLAPS[0], OVERLAPS[1] + 1)):
            piece = self._piece(name, rng.uniform(*OVERLAP_S), rng)
            start = int(rng.integers(LENGTH_SAMPLES - len(piece) + 1))
            place = slice(start, start + len(piece))
            level = 10 ** (rng.uniform(*OVERLAP_LEVEL_DB) / 10)
            gain = math.sqrt(level * power(first[place]) / (power(piece) + QUIETEST))
            sound[place] = np.float32(gain) * piece
        return sound

    def _piece(self, name: str, seconds: float, rng: np.random.Generator) -> Float32:
        """At most so much of a speaker's speech."""
        start, length = self._corpus.span(name)
        wanted = min(length, round(seconds * SAMPLE_RATE_HZ))
        return self._corpus.read(start + int(rng.integers(length - wanted + 1)), wanted)

    def _noise_for(self, speech: Float32, rng: np.random.Generator) -> Float32 | None:
        """Noise at some ratio to ``speech``, or none where the piece is a pause."""
        start = int(rng.integers(len(self._noise) - LENGTH_SAMPLES + 1))
        noise = self._noise[start : start + LENGTH_SAMPLES].astype(np.float32)
        if power(noise) < QUIETEST:
            return None
        ratio = power(speech) / power(noise) / 10 ** (rng.uniform(*NOISE_SNR_DB) / 10)
        return noise * np.float32(math.sqrt(ratio))


def block_power(sound: Float32) -> Float64:
    """Mean square of each block, ``(samples,)`` to ``(blocks,)``."""
    squares = np.square(sound.reshape(-1, BLOCK_SAMPLES), dtype=np.float64)
    return np.asarray(squares.mean(axis=1), np.float64)


def active_blocks(voice: Float32) -> Bools:
    """In which blocks a voice is heard that is silent in the others, ``(blocks,)``."""
    blocks = block_power(voice)
    heard = blocks > QUIETEST
    if not heard.any():
        return heard
    least = 10 ** (ACTIVE_DB / 10) * blocks[heard].mean()
    return np.asarray(heard & (blocks > least), np.bool_)


def local_snr_db(speech: Float32, noise: Float32) -> Float64:
    """Power of speech over that of noise about each block, ``(blocks,)``, within the bounds."""
    window = np.ones(SNR_WINDOW_BLOCKS)
    near, far = (np.convolve(block_power(x), window, "same") for x in (speech, noise))
    ratio = np.maximum(near, QUIETEST) / np.maximum(far, QUIETEST**2)
    return np.asarray(np.clip(10 * np.log10(ratio), *SNR_BOUNDS_DB), np.float64)
