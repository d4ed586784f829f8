"""Whether a block of bytes is as smooth as sound of its form: what a glance tells of it.

From one sample to the next sound moves less than over two, and as much from an even sample to an
odd one as from an odd one to an even. Bytes of another form, of another number of channels, or
shifted by one, do not. Of 2,800 blocks of 60 held-out voices 13 in a hundred are not smooth, for
they hiss, and three in a row seldom; of the same voices as two channels, a byte late, with swapped
bytes, or as 24 or 32 bits or floats, 89 in a hundred and more are not. Forms of 8 bits, of 16-bit
floats and without a sign are about as smooth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.audio.forms import Bytes
from engine.audio.g711 import A_LAW, MU_LAW
from engine.format import Encoding

# Of sound the mean step is so much of that over two samples at most, and steps that begin at even
# samples make up half of all, give or take so much of all.
MOST_STEP, MOST_APART = 0.85, 0.2


def is_smooth(block: Bytes, encoding: Encoding, channels: int) -> bool:
    """Whether a block, whose samples are declared as of ``encoding``, moves as sound does."""
    frames = _levels(block, encoding)
    frames = frames[: len(frames) - len(frames) % channels].reshape(-1, channels)
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.abs(frames[1:] - frames[:-1]).sum(axis=1, dtype=np.float64)
        two = np.abs(frames[2:] - frames[:-2]).sum(dtype=np.float64)
    every, even = float(steps.sum()), float(steps[::2].sum())
    # No number is as small as one that is none.
    smooth = every * (len(steps) - 1) <= MOST_STEP * float(two) * len(steps)
    return smooth and abs(2 * even - every) <= MOST_APART * every


def _levels(block: Bytes, encoding: Encoding) -> NDArray[np.float32]:
    if encoding == "pcm_s16le":
        return block.view("<i2").astype(np.float32)
    if encoding == "pcm_f32le":
        return block.view("<f4")
    return (MU_LAW if encoding == "mulaw" else A_LAW)[block]
