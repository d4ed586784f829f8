"""Bits of sound by linear prediction."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.audio.code_length import (
    Samples,
    apart_bits,
    bits_of_two,
    listed_bits,
    predicted_bits,
    repeated_bits,
    saved_as_two,
)

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Voice = Callable[..., Float32]
LENGTH = 3072


def even(sound: Float64 | Float32) -> Samples:
    return Samples(np.rint(sound.astype(np.float64)), np.rint)


def interleaved(left: Float64 | Float32, right: Float64 | Float32) -> Samples:
    return even(np.stack([left, right], axis=1).reshape(-1))


@pytest.mark.parametrize("spread", [1.5, 30.0, 3000.0])
def test_noise_takes_the_bits_of_its_distribution(spread: float) -> None:
    noise = np.random.default_rng(1).laplace(0, spread, LENGTH)
    entropy = math.log2(2 * math.e * spread)
    assert predicted_bits(even(noise)) / LENGTH == pytest.approx(entropy, abs=0.2)


def test_what_can_be_predicted_takes_few_bits(voice: Voice) -> None:
    t = np.arange(LENGTH)
    assert predicted_bits(even(8000 * np.sin(0.2 * t) + 9000)) < 2.5 * LENGTH
    sound = 32767 * voice("anna", 1.0)[:LENGTH]
    shuffled = np.random.default_rng(1).permutation(sound)
    assert predicted_bits(even(sound)) < predicted_bits(even(shuffled)) - 3 * LENGTH


def test_coarser_steps_take_fewer_bits() -> None:
    noise = np.random.default_rng(1).normal(0, 1e6, LENGTH)
    fine, coarse = (Samples(noise, lambda x: x, np.full(LENGTH, b)) for b in (0.0, 7.0))
    assert predicted_bits(fine) - predicted_bits(coarse) == pytest.approx(7 * LENGTH, rel=1e-3)


def test_channels_apart_are_predicted_by_themselves(voice: Voice) -> None:
    left, right = 32767 * voice("anna", 1.0)[:LENGTH], 1000 * voice("bert", 1.0)[:LENGTH]
    both = apart_bits(interleaved(left, right), 2)
    assert both == pytest.approx(predicted_bits(even(left)) + predicted_bits(even(right)))


def test_the_first_channel_predicts_the_second(voice: Voice) -> None:
    sound = 32767 * voice("anna", 1.0)[:LENGTH]
    first, second = bits_of_two(interleaved(sound, sound))
    assert first == pytest.approx(predicted_bits(even(sound)))
    assert second < 0.2 * LENGTH


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 48_000])
def test_two_channels_save_as_two_and_one_does_not(rate_hz: int, voice: Voice) -> None:
    left, right = (32767 * voice(n, 1.0, rate_hz=rate_hz)[:LENGTH] for n in ("anna", "bert"))
    for pair in ((left, left), (left, right), (left, 0 * left), (left, np.roll(left, 3))):
        assert saved_as_two(interleaved(*pair)) > 0.3 * LENGTH
    assert saved_as_two(even(left)) < -0.1 * LENGTH


def test_noise_and_tones_save_nothing_as_two() -> None:
    rng, t = np.random.default_rng(2), np.arange(LENGTH)
    for turn in (0.01, 0.24, 0.25, 0.26, 0.4, 0.49):
        assert saved_as_two(even(9000 * np.sin(2 * np.pi * turn * t))) < 0.1 * LENGTH
    assert abs(saved_as_two(even(300 * rng.standard_normal(LENGTH)))) < 0.05 * LENGTH


def test_a_period_is_found() -> None:
    period = np.random.default_rng(3).integers(-30_000, 30_000, 20)
    samples = even(np.tile(period, LENGTH // 20).astype(np.float64))
    assert repeated_bits(samples, 20) < 0.2 * LENGTH
    assert repeated_bits(samples, 19) > 10 * LENGTH


def test_a_list_costs_its_entries_and_their_names() -> None:
    codes = np.tile(np.array([3, 3, 7, 200], np.uint8), 100)
    assert listed_bits(codes, 8) == pytest.approx(400 * 1.5 + 3 * 8)
