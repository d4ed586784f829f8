"""How many bits a block of bytes would save, if it were of another form than was declared.

The right form predicts its samples from those before; in any other they are as good as noise. A
block that saves nothing in any form, and all of whose bytes are as likely, is compressed.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from engine.audio.code_length import (
    LAGS,
    Samples,
    apart_bits,
    bits_of_two,
    listed_bits,
    predicted_bits,
    repeated_bits,
    saved_as_two,
)
from engine.audio.forms import FLOAT_STEPS, FORMS, Bytes, SampleForm
from engine.format import SAMPLE_BYTES, Encoding

Form = SampleForm | Literal["stereo", "shifted", "compressed"]

DECLARED: dict[Encoding, SampleForm] = {
    "pcm_s16le": "int16",
    "pcm_f32le": "float32",
    "mulaw": "mulaw",
    "alaw": "alaw",
}
WIDTHS: dict[SampleForm, int] = {DECLARED[one]: size for one, size in SAMPLE_BYTES.items()}
ALL_BITS = 8.0  # bits a byte, of what cannot be predicted at all
NOISE_BITS = 7.95  # Less than this is prediction: uniform noise takes 8.1 to 8.5, as it is coded.
# Blocks of MP3, Opus, Vorbis and FLAC took 7.4 bits a byte and more, counted byte by byte, and to
# know whether a place is even saved 0.02 to 0.06: clipped noise of 16 bits took as many, and saved
# 0.09 and more.
EVEN_BITS, PLACE_BITS = 7.4, 0.07
WIDEST = 8  # bytes of a sample
CLIPPED = 0.02  # share of samples at the highest and lowest level of a block
CLEAR = 0.15  # bits a byte, of which less is neither a saving nor a loss
SLIGHT = 0.03  # bits a byte, that two channels may seem to take more than one, and yet be two


class Found(NamedTuple):
    """``saved`` is what forms save or, if negative, cost; it is -inf for impossible ones.

    ``bits`` a byte are what they take.
    """

    saved: dict[Form, float]
    bits: dict[Form, float]


def savings(block: Bytes, encoding: Encoding, channels: int) -> Found:
    """What the other forms save of a block, whose samples are declared as of ``encoding``."""
    declared = DECLARED[encoding]
    samples = {form: found for form, read in FORMS.items() if (found := read(block)) is not None}
    bits: dict[Form, float] = {f: predicted_bits(s) / len(block) for f, s in samples.items()}
    if WIDTHS[declared] > 1:
        bits["shifted"] = _shifted_bits(block, declared)
    least, mine = min(bits.values()), ALL_BITS
    if declared in samples:
        mine = bits[declared]
        if channels > 1:
            mine = min(mine, apart_bits(samples[declared], channels) / len(block))
    other = _other_bits(block, samples.get(declared)) if least < mine - CLEAR else mine
    if min(least, mine) >= NOISE_BITS:
        return Found({"compressed": ALL_BITS if _is_even(block, encoding) else 0.0}, {})
    saved: dict[Form, float] = {}
    for form in bits.keys() - {declared}:
        more = mine - bits[form]
        saved[form] = min(more + CLEAR, max(min(more, other - bits[form]) - CLEAR, 0))
    if channels == 1 and declared in samples:
        one = bits[declared]
        saved["stereo"], bits["stereo"] = _as_two(samples[declared], one, block)
    return Found(saved, bits)


def _shifted_bits(block: Bytes, declared: SampleForm) -> float:
    """Bits a byte of the declared form, if each sample begins some bytes later."""
    width = WIDTHS[declared]
    shifted = [FORMS[declared](block[by : by - width]) for by in range(1, width)]
    found = [predicted_bits(s) / (len(block) - width) for s in shifted if s is not None]
    return min(found, default=ALL_BITS)


def _as_two(samples: Samples, one: float, block: Bytes) -> tuple[float, float]:
    """What two channels save, and what they take.

    One sound taken for two takes more, as the first of them is not predicted from all that came
    before; and no channel of two is noise alone, as the low halves of wider samples are.
    """
    parts = bits_of_two(samples)
    two = sum(parts) / len(block)
    if max(parts) >= NOISE_BITS * len(block) / 2:
        return -ALL_BITS, ALL_BITS
    if samples.coarse is not None:  # What floats tell below the steps of 24 bits is no sound.
        samples = Samples(np.rint(samples.levels * 2.0 ** (23 - FLOAT_STEPS)), np.rint)
    saved = saved_as_two(samples) / len(block) - SLIGHT
    return (saved if two <= one + SLIGHT else min(saved, one - two)), two


def _other_bits(block: Bytes, samples: Samples | None) -> float:
    """Bits a byte of the declared form by other ways than prediction from the latest samples.

    Clipped and loud companded noise has few levels that do not predict one another. A tone may have
    a period that other, wider forms see as a short one.
    """
    if samples is None or samples.coarse is not None:
        return ALL_BITS
    width = len(block) // len(samples.levels)
    found = [repeated_bits(samples, LAGS * WIDEST // width)]
    ends = (samples.levels == samples.levels.max()) | (samples.levels == samples.levels.min())
    if width == 1:
        found.append(listed_bits(block, 8))
    elif float(np.mean(ends)) >= CLIPPED:
        found.append(listed_bits(block.view("<u2"), 16))
    return min(found) / len(block)


def _is_even(block: Bytes, encoding: Encoding) -> bool:
    """Whether all bytes are almost as likely, and no likelier at even places than at odd ones."""
    if SAMPLE_BYTES[encoding] == 1:  # So may those of companded noise be.
        return False
    bits = listed_bits(block, 0) / len(block)
    apart = sum(listed_bits(place, 0) for place in (block[0::2], block[1::2])) / len(block)
    return bits >= EVEN_BITS and bits - apart <= PLACE_BITS
