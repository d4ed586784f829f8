"""The shared formats: a constant costs no inference runtime, and unit length is unit length."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import numpy as np
import pytest

from engine.audio.pcm import PcmDecoder
from engine.format import CLIPPING_LEVEL, SAMPLE_BYTES, SAMPLE_RATE_HZ, Encoding, seconds, unit


def test_a_constant_loads_no_inference_runtime() -> None:
    code = "import sys, engine.format, engine.jobs, engine.audio.quality; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "engine.format" in loaded
    assert "onnxruntime" not in loaded


def test_every_encoding_has_its_width() -> None:
    assert set(SAMPLE_BYTES) == set(get_args(Encoding))
    for encoding, width in SAMPLE_BYTES.items():
        assert len(PcmDecoder(encoding).feed(bytes(8 * width))) == 8


@pytest.mark.parametrize("encoding", ["mulaw", "alaw", "pcm_s16le", "pcm_f32le"])
def test_full_scale_of_every_encoding_may_be_clipped(encoding: Encoding) -> None:
    codes = np.arange(256, dtype=np.uint8).tobytes()
    largest = {
        "pcm_s16le": np.int16(32767).tobytes(),
        "pcm_f32le": np.float32(1.0).tobytes(),
    }.get(encoding, codes)
    assert PcmDecoder(encoding).feed(largest).max() >= CLIPPING_LEVEL


def test_a_second_has_as_many_samples_as_its_rate() -> None:
    assert seconds(SAMPLE_RATE_HZ) == 1.0


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_unit_vectors_keep_their_direction_and_type(
    real: type[np.float32] | type[np.float64],
) -> None:
    vectors = np.array([[3.0, 4.0], [0.0, 0.0], [-2.0, 0.0]], real)
    found = unit(vectors)
    assert found.dtype == real
    np.testing.assert_allclose(found, [[0.6, 0.8], [0.0, 0.0], [-1.0, 0.0]], rtol=1e-6)
    np.testing.assert_array_equal(unit(vectors[0]), found[0])
