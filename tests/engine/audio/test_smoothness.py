"""What a glance at a block tells: whether it moves as sound of its form does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from encodings_of_sound import ENCODED, s16
from numpy.typing import NDArray

from engine.audio.form_savings import DECLARED
from engine.audio.smoothness import is_smooth
from engine.format import Encoding

Float32 = NDArray[np.float32]
Voice = Callable[..., Float32]
BLOCK = 6144


def share(data: bytes, encoding: Encoding, channels: int = 1) -> float:
    """Of the blocks that have sound in them, so many are smooth."""
    blocks = [np.frombuffer(data[i : i + BLOCK], np.uint8) for i in range(0, len(data), BLOCK)]
    heard = [one for one in blocks if len(one) == BLOCK and len(np.unique(one)) > 12]
    return float(np.mean([is_smooth(one, encoding, channels) for one in heard]))


@pytest.mark.parametrize("encoding", DECLARED)
@pytest.mark.parametrize("channels", [1, 2])
def test_voices_of_the_declared_form_are_smooth(
    encoding: Encoding, channels: int, voice: Voice
) -> None:
    sound = np.repeat(0.5 * voice("anna", 10.0), channels)
    assert share(ENCODED[DECLARED[encoding]](sound), encoding, channels) > 0.9


@pytest.mark.parametrize("late", [1, 3])
@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_f32le"])
def test_voices_that_come_bytes_late_are_not(encoding: Encoding, late: int, voice: Voice) -> None:
    data = ENCODED[DECLARED[encoding]](0.5 * voice("anna", 10.0))
    assert share(data[late:], encoding) < 0.2


@pytest.mark.parametrize("right", ["the same", "another", "nothing"])
def test_two_channels_as_one_are_not(right: str, voice: Voice) -> None:
    left = voice("anna", 10.0)
    other = {"the same": left, "another": voice("bert", 10.0), "nothing": 0 * left}[right]
    assert share(s16(np.stack([left, other], axis=1).reshape(-1)).tobytes(), "pcm_s16le") == 0


@pytest.mark.parametrize(
    "form", ["byte-swapped", "int24", "int32", "float32", "float64", "int32be", "float32be"]
)
def test_wider_and_turned_samples_are_not(form: str, voice: Voice) -> None:
    assert share(ENCODED[form](0.5 * voice("anna", 10.0)), "pcm_s16le") < 0.2


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_what_is_no_sound_at_all_is_not(value: float) -> None:
    """And there is no warning of numpy's."""
    block = np.zeros(BLOCK // 4, "<f4")
    block[::7] = value
    assert not is_smooth(block.view(np.uint8), "pcm_f32le", 1)
