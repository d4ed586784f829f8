"""Samples of a block of bytes, in each form that it may have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from encodings_of_sound import ENCODED, law
from numpy.typing import NDArray

from engine.audio.code_length import predicted_bits
from engine.audio.form_savings import Form, savings
from engine.audio.forms import FORMS, SampleForm
from engine.audio.g711 import A_LAW, MU_LAW
from engine.format import SAMPLE_BYTES, Encoding

Float32 = NDArray[np.float32]
Voice = Callable[..., Float32]
BLOCK = 6144


def block(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)[: len(data) // 8 * 8][:BLOCK]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["anna", "bert"])
@pytest.mark.parametrize("level", [1.0, 0.2])
def test_the_right_form_takes_the_fewest_bits(
    form: SampleForm, name: str, level: float, voice: Voice
) -> None:
    data = block(ENCODED[form](level * voice(name, 3.0)))
    bits: dict[Form, float] = {}
    for other, read in FORMS.items():
        if (samples := read(data)) is not None:
            bits[other] = predicted_bits(samples) / len(data)
    alike = {form, "unscaled"}  # Floats that are not beyond 1 might be such, too.
    assert bits[form] < min(bits[other] for other in bits.keys() - alike) - 0.4
    assert bits[form] <= min(bits.values())


@pytest.mark.parametrize(("form", "table"), [("mulaw", MU_LAW), ("alaw", A_LAW)])
def test_a_step_of_a_law_is_a_code(form: SampleForm, table: Float32) -> None:
    samples = FORMS[form](np.arange(256, dtype=np.uint8))
    assert samples is not None
    order = np.argsort(samples.levels, kind="stable")
    steps = samples.steps(samples.levels[order])
    assert np.all(np.diff(steps) >= 0)
    assert set(np.diff(steps)) <= {0.0, 1.0, 2.0}  # Mu-law has two zeros, which have one step.
    assert np.allclose(samples.levels / np.abs(samples.levels).max(), table / np.abs(table).max())


def test_bits_that_are_always_zero_are_none(voice: Voice) -> None:
    steps = np.frombuffer(ENCODED["int16"](voice("anna", 1.0)), "<i2").astype("<i4")
    scaled = FORMS["int32"](block((steps / 32768 * 2147483647).astype("<i4").tobytes()))
    narrow = FORMS["int16"](block(ENCODED["int16"](voice("anna", 1.0))))
    assert scaled is not None
    assert narrow is not None
    assert np.array_equal(scaled.levels, narrow.levels[: len(scaled.levels)])


def test_a_silent_first_channel_is_no_lower_half(voice: Voice) -> None:
    steps = np.frombuffer(ENCODED["int16"](voice("anna", 1.0)), "<i2").astype("<i4")
    assert FORMS["int32"](block((steps << 16).tobytes())) is None


def test_what_is_no_float_is_not_read_as_one(voice: Voice) -> None:
    sound = voice("anna", 1.0)
    for data in (ENCODED["int16"](sound), law(sound, MU_LAW), b"\x00\x00\xc0\x7f" * BLOCK):
        assert FORMS["float32"](block(data)) is None
        assert FORMS["unscaled"](block(data)) is None
    assert FORMS["float32"](block(ENCODED["unscaled"](sound))) is None


@pytest.mark.parametrize("encoding", SAMPLE_BYTES)
def test_only_samples_of_several_bytes_may_begin_late(encoding: Encoding) -> None:
    noise = np.random.default_rng(1).normal(128, 20, BLOCK).astype(np.uint8)
    found = savings(noise, encoding, 1)
    assert found.bits
    assert ("shifted" in found.bits) == ("shifted" in found.saved) == (SAMPLE_BYTES[encoding] > 1)
