"""A constant offset is taken away, and sound without one is not touched."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.audio.offset import OffsetRemoval
from engine.format import FRAME_SAMPLES, SAMPLE_RATE_HZ

Float32 = NDArray[np.float32]
SETTLED = SAMPLE_RATE_HZ // 2


@pytest.mark.parametrize("offset", [0.02, 0.1, 0.3, -0.3])
def test_an_offset_is_gone_after_half_a_second(
    offset: float, voice: Callable[..., Float32]
) -> None:
    sound = 0.6 * voice("anna", 4.0)
    removal = OffsetRemoval()
    heard = removal.feed((sound + np.float32(offset)).astype(np.float32))
    assert abs(float(np.mean(heard[SETTLED:]))) < 0.001
    assert float(np.max(np.abs(heard - sound)[SETTLED:])) < 0.015
    assert removal.until(len(sound)) == pytest.approx(offset, abs=0.01)
    assert removal.until(len(sound)) == 0.0


@pytest.mark.parametrize("level", [1.0, 0.1, 0.001])
@pytest.mark.parametrize("name", ["anna", "bert"])
def test_sound_without_an_offset_is_not_touched(
    name: str, level: float, voice: Callable[..., Float32]
) -> None:
    sound = (voice(name, 4.0) * level).astype(np.float32)
    removal = OffsetRemoval()
    np.testing.assert_array_equal(removal.feed(sound), sound)
    assert removal.until(len(sound)) == 0.0


@given(st.lists(st.integers(0, 20_000), max_size=8))
def test_pieces_of_any_size_give_the_same_samples(cuts: list[int]) -> None:
    rng = np.random.default_rng(3)
    sound = (0.2 + 0.1 * rng.standard_normal(20_000)).astype(np.float32)
    edges = sorted({0, len(sound), *cuts})
    removal = OffsetRemoval()
    pieces = [removal.feed(sound[a:b]) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(pieces), OffsetRemoval().feed(sound))


def test_what_is_cut_flat_stays_at_full_scale(voice: Callable[..., Float32]) -> None:
    sound = np.clip(3 * voice("anna", 2.0) + 0.3, -1, 1).astype(np.float32)
    heard = OffsetRemoval().feed(sound)
    flat = np.abs(sound) >= 0.999
    assert flat.mean() > 0.01
    np.testing.assert_array_equal(heard[flat], sound[flat])


def test_an_offset_that_ends_is_left(voice: Callable[..., Float32]) -> None:
    sound = voice("bert", 4.0)
    removal = OffsetRemoval()
    removal.feed((sound * 0.5 + 0.2).astype(np.float32))
    removal.feed(np.zeros(SETTLED, np.float32))
    after = removal.feed(sound)[FRAME_SAMPLES:]
    np.testing.assert_array_equal(after, sound[FRAME_SAMPLES:])
