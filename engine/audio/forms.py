"""Which form the samples of a block of bytes have, by statistics of the bytes.

Each form leaves its mark: the high byte of a sample says little more than its sign and the low
one is noise, so that which bytes are noise tells how wide a sample is and which way round it lies;
two channels are alike at the same moment and not half a sample apart. Where every byte is noise
the sound is compressed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.audio.g711 import A_LAW, MU_LAW
from engine.format import SAMPLE_BYTES, Encoding

Bytes = NDArray[np.uint8]
Float64 = NDArray[np.float64]
Form = Literal[
    "float16",
    "float32",
    "float64",
    "unscaled",
    "int16",
    "int24",
    "int32",
    "byte-swapped",
    "stereo",
    "mulaw",
    "alaw",
    "uint8",
    "compressed",
]

SMOOTH, ROUGH = 0.7, 1.6  # White noise has 2.
LOUD, STEEP = 100.0, 10.0  # 16-bit steps (RMS), and so many times the power
HEAVY = 4000.0  # 16-bit steps (RMS): samples of a byte taken for 16 bits are louder
# How far bytes may be from being as likely each (total variation). Blocks of MP3, Opus, Vorbis and
# FLAC were 0.10 to 0.20 and mostly below 0.15; speech was 0.23 and more in its high bytes.
EVEN = 0.2

# A byte is small if it is that of a sample near zero, as of either sign.
SMALL = np.zeros(256, np.bool_)
SMALL[:16] = SMALL[240:] = True


def _small(block: Bytes, period: int) -> Float64:
    """Share of small bytes at each place of ``period``, ``(period,)``."""
    return np.asarray(SMALL[block].reshape(-1, period).mean(axis=0), np.float64)


def _roughness(samples: Float64) -> float:
    """Power of the differences of neighbours over that of the samples: 2 for white noise."""
    power = float(np.dot(samples, samples))
    steps = np.diff(samples)
    return float(np.dot(steps, steps)) / power if power else 0.0


def _of_16_bits(block: Bytes) -> Form | None:
    """What samples declared as 16 bits are."""
    words = block.view("<i2").astype(np.float64)
    if _are_floats(block):
        return "float32"
    if _are_unscaled(block):
        return "unscaled"
    if _are_doubles(block):
        return "float64"
    if _are_half_floats(block):
        return "float16"
    if (wide := _wide(block)) is not None:
        return wide
    if _is_compressed(block, words):
        return "compressed"
    if (law := _of_8_bits_each(block)) is not None:
        return law
    if _are_swapped(block, words):
        return "byte-swapped"
    if _are_two_channels(words):
        return "stereo"
    return None


def _are_floats(block: Bytes) -> bool:
    """Exponents of floats of full scale 1 lie in a few steps below 127, which no samples do."""
    return _are_exponents((block.view("<u4") >> 23 & 0xFF).astype(np.uint32), 96, 128)


def _are_unscaled(block: Bytes) -> bool:
    """Floats that were whole numbers of 16 or more bits and were not divided by full scale."""
    exponents = (block.view("<u4") >> 23 & 0xFF).astype(np.uint32)
    if not _are_exponents(exponents, 100, 158):
        return False
    values = block.view("<f4")
    values = values[values != 0]
    beyond = float(np.median(exponents[exponents != 0])) >= 128  # half of them are 2 and more
    return beyond or float(np.mean(values == np.rint(values))) > 0.97


def _is_compressed(block: Bytes, words: Float64) -> bool:
    """Bytes are as likely each at both places of a pair, as no sound but the loudest noise has."""
    places = (np.bincount(block[place::2], minlength=256) for place in (0, 1))
    uneven = (float(np.abs(found / found.sum() - 1 / 256).sum()) / 2 for found in places)
    return max(uneven) < EVEN and _roughness(words) > ROUGH


def _are_doubles(block: Bytes) -> bool:
    doubles = block.view("<u8")
    return _are_exponents((doubles >> 52 & 0x7FF).astype(np.uint32), 960, 1024)


def _are_half_floats(block: Bytes) -> bool:
    """Of floats of 16 bits and full scale 1 none are beyond 1, and both signs are about as many.

    As whole numbers they would leave out all that is a little below zero, which no sound does.
    """
    words = block.view("<u2")
    some, signs = words[words != 0] & 0x7FFF, words >> 15
    inside = float(np.mean((some > 0x0400) & (some <= 0x3C00))) if len(some) > 32 else 0.0
    return inside > 0.99 and 0.1 < float(np.mean(signs)) < 0.9 and len(np.unique(some >> 10)) >= 4


def _are_exponents(codes: NDArray[np.uint32], low: int, high: int) -> bool:
    """Whether numbers, but for zeros, have exponents from ``low`` to ``high``, all of the block."""
    halves = codes[0::2], codes[1::2]
    some = [half[half != 0] for half in halves]
    inside = [float(np.mean((half > low) & (half <= high))) for half in some if len(half) > 32]
    return len(inside) == 2 and min(inside) > 0.97


def _wide(block: Bytes) -> Form | None:
    """Samples of three or four bytes: the highest is smooth, and what lies below it is noise."""
    high, below = block[2::3].view(np.int8), block[1::3]
    if _roughness(high.astype(np.float64)) < SMOOTH and _is_noise(below.astype(np.float64), 8):
        return "int24"
    high16, below16 = block.view("<i2")[1::2], block.view("<u2")[0::2]
    if _roughness(high16.astype(np.float64)) < 1 and _is_noise(below16.astype(np.float64), 16):
        return "int32"
    return None


def _is_noise(codes: Float64, bits: int) -> bool:
    """Whether codes of so many bits are as likely each, whatever the one before was."""
    parts = np.bincount((codes / 2 ** (bits - 4)).astype(np.intp), minlength=16) / len(codes)
    return float(parts.max()) < 0.1 and _roughness(codes - np.mean(codes)) > ROUGH


def _of_8_bits_each(block: Bytes) -> Form | None:
    """Every byte is a sample: both places of a pair are distributed alike, and not as noise."""
    pairs = block.reshape(-1, 2)
    even = np.bincount(pairs[:, 0], minlength=256) / len(pairs)
    odd = np.bincount(pairs[:, 1], minlength=256) / len(pairs)
    both = (even + odd) / 2
    different = float(np.abs(even - odd).sum()) / 2
    uneven = float(np.abs(both - 1 / 256).sum()) / 2
    if different > 0.3 or uneven < 0.3:
        return None
    found: tuple[tuple[Form, Float64], ...] = (
        ("mulaw", MU_LAW[block].astype(np.float64)),
        ("alaw", A_LAW[block].astype(np.float64)),
        ("uint8", block.astype(np.float64) - 128),
    )
    smoothest = min(found, key=lambda one: _roughness(one[1]))
    words = block.view("<i2").astype(np.float64)
    rough = 0.6 * _roughness(words)
    return smoothest[0] if np.std(words) > HEAVY and _roughness(smoothest[1]) < rough else None


def _are_swapped(block: Bytes, words: Float64) -> bool:
    """The other way round the same bytes are smoother and quieter, or all low bytes are signs."""
    swapped = block.view(">i2").astype(np.float64)
    quieter = float(np.dot(swapped, swapped)) < 0.5 * float(np.dot(words, words))
    small = _small(block, 2)
    if quieter and small[0] > 0.6 and small[1] < 0.5 * small[0]:
        return _roughness(swapped) < 0.7 * _roughness(words)
    low, high = block[0::2], block[1::2].view(np.int8)
    some = (low != 0) | (high != 0)
    signs = np.where(high < 0, low == 255, low == 0)[some]
    return (
        quieter and bool((high < 0).any()) and bool((high > 0).any()) and bool(signs.mean() > 0.99)
    )


def _are_two_channels(words: Float64) -> bool:
    """Of one channel, samples at even places are as loud as those at odd ones, and steps likewise.

    And where each of the two is smooth, a step to the next place is smaller than one over it.
    """
    left, right = words[0::2], words[1::2]
    powers = float(np.dot(left, left)), float(np.dot(right, right))
    louder = left if powers[0] >= powers[1] else right
    rough = _roughness(louder)
    if not powers[0] + powers[1] or rough > 1.0:
        return False
    within = float(np.sum((left - right) ** 2))
    between = float(np.sum((right[:-1] - left[1:]) ** 2))
    over = float(np.sum(np.diff(left) ** 2) + np.sum(np.diff(right) ** 2))
    # Sound that is all close to half the rate has steep steps too, but it is faint.
    loud = max(powers) > LOUD**2 * len(left)
    steep = loud and rough < 0.3 and within + between > STEEP * over
    likeness = 0.5 if loud and rough < 0.3 else 0.3
    return steep or _likeness(*powers) < 0.3 or _likeness(within, between) < likeness


def _likeness(one: float, other: float) -> float:
    return min(one, other) / max(one, other)


def _of_floats(block: Bytes) -> Form | None:
    """What samples declared as 32-bit floats are."""
    if _are_floats(block):
        return None
    if _are_unscaled(block):
        return "unscaled"
    if _are_doubles(block):
        return "float64"
    with np.errstate(invalid="ignore"):
        size = np.abs(block.view("<f4"))
    odd = float(np.mean(~(size < 64) | ((size > 0) & (size < 1e-12))))
    if odd <= 0.1:
        return None
    rough = _roughness(block.view("<i2").astype(np.float64)) > ROUGH
    return _wide(block) or ("compressed" if rough and _small(block, 2)[1] < 0.3 else "int16")


def _of_law(declared: Form) -> Callable[[Bytes], Form | None]:
    """What samples declared as G.711 are."""
    tables: dict[Form, NDArray[np.float32]] = {"mulaw": MU_LAW, "alaw": A_LAW}
    other: Form = "alaw" if declared == "mulaw" else "mulaw"

    def judge(block: Bytes) -> Form | None:
        if _are_floats(block):
            return "float32"
        small = _small(block, 2)
        words = block.view("<i2").astype(np.float64)
        mine = _roughness(tables[declared][block].astype(np.float64))
        if small[1] > 0.6 and small[0] < 0.5 * small[1] and _roughness(words) < 0.6 * mine:
            return "int16"
        others = _roughness(tables[other][block].astype(np.float64))
        return other if mine > 0.25 and others < 0.45 * mine else None

    return judge


JUDGES: dict[Encoding, Callable[[Bytes], Form | None]] = {
    "pcm_s16le": _of_16_bits,
    "pcm_f32le": _of_floats,
    "mulaw": _of_law("mulaw"),
    "alaw": _of_law("alaw"),
}
assert set(JUDGES) == set(SAMPLE_BYTES)
