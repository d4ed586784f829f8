"""Tells sound that has come before in its stream, sample for sample: a loop, or a recording again.

A microphone never gives the same samples twice. So windows of the samples are hashed, not at fixed
distances, which a loop need not keep to, but at anchors, which the samples themselves make out
(content-defined chunking; Muthitacharoen, Chen and Mazieres, "A low-bandwidth network file system",
SOSP 2001). A window with the hash of an earlier one is a hit, and several in a row, all of them
equally late, are a repeat.

Of tones, hum and digital silence, which repeat by nature, nothing is said. What was resampled or
made louder before it was sent again has other samples, and is not told.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.format import INT16_STEPS

Float32 = NDArray[np.float32]
Steps = NDArray[np.int16]

ANCHORS_PER_S = 4  # at least, on average
WINDOW_S = 0.128  # that is hashed
BLOCK_S = 0.25  # of sound that is looked at together
# Hashes that are held, in 128 KB. Each new one takes the place of an old one: measured with noise,
# of those of half an hour ago 18 % are left at 8 and 16 kHz, and 28 % at 44.1 and 48 kHz.
HELD = 8192
LEAST_LAG_S = 1.0  # What comes back sooner is a tone, or what a network fills a gap with.
AGREEING, LEAST_S = 5, 1.0  # hits equally late, in a row, over so much sound, make a repeat,
CLEARING = 16  # and so many anchors without one end it.
LEAST_VALUES = 24  # A window with fewer different samples has no sound in it to be told by.
# A window that differs from itself a period later by less than this share of its power is a tone;
# voiced speech differs by some hundredths.
TONAL = 1e-3
# Samples and odd factors of the hash that makes out anchors: 2654435761 is that of Knuth, "The Art
# of Computer Programming", vol. 3, section 6.4; any others would do.
TAPS = ((0, 2654435761), (1, 2246822519), (3, 3266489917), (7, 668265263))
SPAN = TAPS[-1][0] + 1


@dataclass(frozen=True, slots=True)
class Repeat:
    """From ``since_s`` on the sound is what had come ``lag_s`` before, in seconds of the stream."""

    since_s: float
    lag_s: float

    @property
    def advice(self) -> str:
        """What it is, in words."""
        return (
            f"the sound since {self.since_s:.1f} s is, sample for sample, what had come"
            f" {self.lag_s:.1f} s before: a loop, or a recording sent again"
        )


class RepeatCheck:
    """Follows the samples of one stream, in pieces of any size, at its own rate.

    ``found`` gets from which sample on there is a repeat, or None, wherever that changes.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate = rate_hz
        self._window = round(WINDOW_S * rate_hz)
        self._block = round(BLOCK_S * rate_hz)
        self._mask = np.uint32((1 << (rate_hz // ANCHORS_PER_S).bit_length() - 1) - 1)
        self._ahead = self._window + SPAN  # samples after a place that are needed to look at it
        self._held = np.zeros(0, np.int16)  # from sample ``_start`` on
        self._waiting: list[Float32] = []
        self._lacks = self._ahead + self._block  # samples until there is a block to look at
        self._start = 0
        self._hashes = np.zeros(HELD, np.uint64)
        self._places = np.zeros(HELD, np.int64)
        self._lag = self._since = self._hits = self._misses = 0
        self._told = False
        self.found: list[tuple[int, Repeat | None]] = []

    def feed(self, samples: Float32) -> None:
        """The next samples ``(N,)``."""
        self._waiting.append(samples)
        self._lacks -= len(samples)
        if self._lacks > 0:
            return
        fresh = np.rint(np.concatenate(self._waiting) * np.float32(INT16_STEPS))
        steps = np.minimum(fresh, INT16_STEPS - 1).astype(np.int16)
        held = np.concatenate([self._held, steps])
        self._waiting, used = [], 0
        while len(held) - used >= self._ahead + self._block:
            self._look(held[used : used + self._ahead + self._block])
            used += self._block
            self._start += self._block
        self._held = held[used:]
        self._lacks = self._ahead + self._block - len(self._held)

    def _look(self, steps: Steps) -> None:
        """The anchors of the next block, which ``steps`` hold with what follows it."""
        places = self._anchors(steps[: self._block + SPAN - 1])
        end = self._start + len(steps)
        for place in places.tolist():
            self._anchor(steps[place : place + self._window], self._start + place, end)

    def _anchors(self, steps: Steps) -> NDArray[np.intp]:
        """Places that the samples make out, whatever came before them."""
        words = steps.astype(np.uint32)
        count = len(words) - SPAN + 1
        parts = [words[offset : offset + count] * np.uint32(factor) for offset, factor in TAPS]
        mixed = parts[0]
        for part in parts[1:]:
            mixed += part
        mixed ^= mixed >> np.uint32(15)
        mixed *= np.uint32(TAPS[1][1])
        mixed ^= mixed >> np.uint32(13)
        found = np.flatnonzero((mixed & self._mask) == self._mask)
        # Where there are so many it is one value over and over.
        return found if len(found) <= self._block // 64 else found[:0]

    def _anchor(self, window: Steps, place: int, end: int) -> None:
        digest = hashlib.blake2b(window.tobytes(), digest_size=8).digest()
        name = int.from_bytes(digest, "little") | 1  # zero is an empty place
        slot = (name >> 1) % HELD
        known = int(self._hashes[slot]) == name
        before = int(self._places[slot])
        self._hashes[slot], self._places[slot] = name, place
        lag = place - before
        known = known and lag >= LEAST_LAG_S * self._rate
        if known and ((self._told and lag == self._lag) or _tells(window)):
            self._hit(lag, place, end)
        else:
            self._miss(end)

    def _hit(self, lag: int, place: int, end: int) -> None:
        self._misses = 0
        if lag != self._lag:
            self._lag, self._since, self._hits = lag, place, 0
        self._hits += 1
        long_enough = place - self._since >= LEAST_S * self._rate
        if not self._told and self._hits >= AGREEING and long_enough:
            self._told = True
            repeat = Repeat(round(self._since / self._rate, 3), round(lag / self._rate, 3))
            self.found.append((end, repeat))

    def _miss(self, end: int) -> None:
        self._misses += 1
        if self._misses < CLEARING:
            return
        self._lag = self._hits = 0
        if self._told:
            self._told = False
            self.found.append((end, None))


def _tells(window: Steps) -> bool:
    """Whether it would be strange if a window came again: there is sound in it, and no tone."""
    if len(np.unique(window)) < LEAST_VALUES:
        return False
    sound = window - window.mean()
    count, power = len(sound), np.cumsum(sound * sound)
    spectrum = np.fft.rfft(sound, 2 * count)
    alike = np.fft.irfft(spectrum * spectrum.conj())[: count // 2]
    lags = np.arange(count // 2)
    # Twice the mean power of the two parts that are compared.
    both = power[count - 1 - lags] + power[-1] - np.concatenate([[0.0], power])[lags]
    differs = 1 - 2 * alike / both
    apart = np.flatnonzero(alike < alike[0] / 2)
    return len(apart) > 0 and float(differs[apart[0] :].min()) > TONAL
