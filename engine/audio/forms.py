"""The forms that a block of bytes may have, and its samples in each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.audio.code_length import Float64, Samples
from engine.audio.g711 import A_LAW, MU_LAW

Bytes = NDArray[np.uint8]
Float32 = NDArray[np.float32]
SampleForm = Literal[
    "int8",
    "int16",
    "int24",
    "int32",
    "uint8",
    "uint16",
    "uint32",
    "mulaw",
    "alaw",
    "float16",
    "float32",
    "unscaled",
    "float64",
    "byte-swapped",
    "uint16be",
    "int24be",
    "int32be",
    "float16be",
    "float32be",
    "float64be",
]
Reader = Callable[[Bytes], Samples | None]  # None: the block cannot be of that form

# Floats are counted in steps of 2^-60, which is finer than any 32-bit one near full scale.
FLOAT_STEPS = 60
WIDTHS = 0, 15, 23  # bits after the point, of floats that were whole numbers of 16 or 24 bits
# Of floats of full scale 1 some go a little beyond. Those that nobody divided go up to 2^31.
BEYOND, FAR_BEYOND = 4.0, 2.0**33
WITHIN = 0.97  # share of floats that do not go beyond
NOT_ZERO = 2.0**-10  # A float below this share of the mean takes no more bits than one at it.


def _even(whole: NDArray[np.generic]) -> Samples:
    """Whole numbers. Bits at the end that are zero in all of them are no bits of the sound."""
    numbers = whole.astype(np.int64)
    spare = _zero_bits(numbers)
    return Samples((numbers >> spare).astype(np.float64), np.rint)


def _zero_bits(numbers: NDArray[np.integer]) -> int:
    every = int(np.bitwise_or.reduce(numbers))
    return (every & -every).bit_length() - 1 if every else 0


def _without_padding(numbers: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Whole numbers without so many bits at the end, if they were made by as many fewer.

    Made by a factor of 2^15 - 1 or 2^31 - 1, they are up to one step nearer to zero than by shift.
    """
    high = (numbers + (1 << bits - 1)) >> bits
    rest = numbers - (high << bits)
    return high if np.all((rest == 0) | (rest == -np.sign(high))) else numbers


def _int8(block: Bytes) -> Samples:
    return _even(block.view(np.int8))


def _int16(block: Bytes) -> Samples:
    return _even(_without_padding(block.view("<i2").astype(np.int64), 8))


def _swapped(block: Bytes) -> Samples | None:
    """None of sound of 8 bits in the upper byte, which is as well told the declared way round."""
    return _even(block.view(">i2")) if block[0::2].any() else None


def _int24(block: Bytes) -> Samples:
    parts = block.reshape(-1, 3).astype(np.int32)
    return _even((parts[:, 0] << 8 | parts[:, 1] << 16 | parts[:, 2] << 24) >> 8)


def _int32(block: Bytes) -> Samples | None:
    """None of two channels.

    Nothing is so quiet as that the high half is always zero: that is another channel. And where
    every low half is zero, the first channel is silent, which is commoner than 16 bits made 32.
    """
    numbers = block.view("<i4").astype(np.int64)
    if np.abs(numbers).max() < 2**16 or not (numbers & 0xFFFF).any():
        return None
    return _even(_without_padding(numbers, 16))


def _unsigned(size: int, read: Reader) -> Reader:
    """Whole numbers of so many bytes without a sign: silence is in their middle."""
    top = np.array([0] * (size - 1) + [0x80], np.uint8)
    return lambda block: read((block.reshape(-1, size) ^ top).reshape(-1))


def _turned(size: int, read: Reader) -> Reader:
    """The same with the bytes of each sample the other way round."""
    return lambda block: read(np.ascontiguousarray(block.reshape(-1, size)[:, ::-1]).reshape(-1))


def _law(table: Float32, full: int) -> Callable[[Bytes], Samples]:
    """Companded samples: a step is from one code to the next, in order of their levels."""
    levels = np.rint(table * full).astype(np.float64)
    negative = np.arange(256) < 128
    order = np.argsort(np.where(negative, -0.5 - np.abs(levels), 0.5 + np.abs(levels)))
    middles = (levels[order][1:] + levels[order][:-1]) / 2
    rank = np.searchsorted(middles, np.arange(-full, full + 1), side="right").astype(np.float64)

    def steps(wanted: Float64) -> Float64:
        places = np.clip(np.rint(wanted) + full, 0, 2 * full).astype(np.intp)
        return np.asarray(rank[places], np.float64)

    return lambda block: Samples(levels[block], steps)


def _float16(block: Bytes) -> Samples | None:
    return _floats(block.view("<f2"), block.view("<i2"), 11)


def _float32(block: Bytes) -> Samples | None:
    values = block.view("<f4")
    with np.errstate(invalid="ignore"):
        beyond = float(np.mean(~(np.abs(values) < BEYOND)))
    return _floats(values, block.view("<i4"), 24) if beyond <= 1 - WITHIN else None


def _unscaled(block: Bytes) -> Samples | None:
    return _floats(block.view("<f4"), block.view("<i4"), 24)


def _float64(block: Bytes) -> Samples | None:
    return _floats(block.view("<f8"), block.view("<i8"), 53)


def _floats(values: NDArray[np.floating], codes: NDArray[np.integer], bits: int) -> Samples | None:
    """Floats of so many ``bits`` without the exponent, or none if no sound can have their size.

    A step is what the last bit is worth that is not zero in all of them, and no less than that of
    the whole numbers they were made from.
    """
    with np.errstate(invalid="ignore"):
        if not float(np.abs(values).max()) < FAR_BEYOND:  # as with such as are no numbers
            return None
    levels = values.astype(np.float64)
    size = np.abs(levels)
    exponents = np.frexp(np.maximum(size, NOT_ZERO * size.mean()))[1]
    finest = exponents - bits + min(_zero_bits(codes), bits)
    for width in WIDTHS:
        if np.all(size * 2.0**width == np.rint(size * 2.0**width)):
            finest = np.maximum(finest, -width)
            break
    coarse = np.where(size > 0, finest + FLOAT_STEPS, np.inf)  # Zeros take no bits.
    return Samples(levels * 2.0**FLOAT_STEPS, lambda wanted: wanted, coarse)


FORMS: dict[SampleForm, Reader] = {
    "int8": _int8,
    "int16": _int16,
    "int24": _int24,
    "int32": _int32,
    "uint8": _unsigned(1, _int8),
    "uint16": _unsigned(2, _int16),
    "uint32": _unsigned(4, _int32),
    "mulaw": _law(MU_LAW, 8192),
    "alaw": _law(A_LAW, 4096),
    "float16": _float16,
    "float32": _float32,
    "unscaled": _unscaled,
    "float64": _float64,
    "byte-swapped": _swapped,
    "uint16be": _turned(2, _unsigned(2, _int16)),
    "int24be": _turned(3, _int24),
    "int32be": _turned(4, _int32),
    "float16be": _turned(2, _float16),
    "float32be": _turned(4, _float32),
    "float64be": _turned(8, _float64),
}
