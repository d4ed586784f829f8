"""The formats that every room shares: of sound, of its encodings and of embeddings.

This module computes nothing and loads numpy alone, so that a constant costs no more than that.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)

# Sound behind the decoder. Silero's detector and speaker models of wide-band speech take 16 kHz.
SAMPLE_RATE_HZ = 16_000
FRAME_SAMPLES = 512  # samples of one frame of the speech detector at 16 kHz: 32 ms

# Sound as it comes in.
Encoding = Literal["pcm_s16le", "pcm_f32le", "mulaw", "alaw"]
SAMPLE_BYTES: dict[Encoding, int] = {"pcm_s16le": 2, "pcm_f32le": 4, "mulaw": 1, "alaw": 1}
LOWEST_RATE_HZ = 8_000  # telephone speech; with less the formants of a voice are cut off
HIGHEST_RATE_HZ = 192_000  # the highest rate of common audio interfaces
MOST_CHANNELS = 8  # channels of one stream, of which one is kept

INT16_STEPS = 32_768  # steps of a 16-bit sample from zero to full scale
INT16_PEAK = 32_767  # the highest 16-bit sample: where sound is stored, full scale
# Level, as a share of full scale, from which on a sample may be clipped. The largest level of
# mu-law is 0.9803 and of A-law 0.9844 (ITU-T G.711), and resampling rounds a flat top by about
# as much: a limit closer to 1 would see neither a clipped telephone call nor a clipped stream.
CLIPPING_LEVEL = 0.98

SMALLEST_NORM = 1e-12  # divisor for a vector of zeros, which so stays zero


def seconds(samples: int) -> float:
    """Length in seconds of ``samples`` at 16 kHz."""
    return samples / SAMPLE_RATE_HZ


def unit(vectors: NDArray[Real]) -> NDArray[Real]:
    """``vectors`` ``(..., D)`` scaled to unit length along the last axis, of the same type."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, SMALLEST_NORM), vectors.dtype)
