from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from models.sound.pitch import HIGHEST_HZ, LOWEST_HZ, median_f0, voiced_f0

Float32 = NDArray[np.float32]
RATE = 16000


def tone(hz: float, seconds: float = 1.0, partials: int = 8) -> Float32:
    t = np.arange(round(seconds * RATE)) / RATE
    sound = sum(np.sin(2 * np.pi * k * hz * t + k) / k for k in range(1, partials + 1))
    return np.asarray(sound, np.float32)


@pytest.mark.parametrize("hz", [65, 98.5, 150, 233.3, 310, 440])
def test_the_pitch_of_a_harmonic_tone(hz: float) -> None:
    assert median_f0(tone(hz)) == pytest.approx(hz, rel=0.005)


def test_a_missing_fundamental_is_heard_all_the_same() -> None:
    t = np.arange(RATE) / RATE
    sound = np.asarray(sum(np.sin(2 * np.pi * k * 120 * t) for k in (3, 4, 5)), np.float32)
    assert median_f0(sound) == pytest.approx(120, rel=0.01)


def test_noise_between_tones_does_not_move_the_median() -> None:
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    assert median_f0(np.concatenate([noise, tone(180), noise])) == pytest.approx(180, rel=0.02)


def test_synthetic_voices_have_the_pitch_they_were_made_with(
    voice: Callable[..., Float32],
) -> None:
    assert median_f0(voice("anna", 6)) == pytest.approx(210, rel=0.06)
    assert median_f0(voice("bert", 6)) == pytest.approx(110, rel=0.06)


def test_what_has_no_pitch_gets_none() -> None:
    noise = np.random.default_rng(1).standard_normal(2 * RATE).astype(np.float32)
    assert median_f0(noise) is None
    assert median_f0(np.zeros(RATE, np.float32)) is None
    assert median_f0(np.zeros(100, np.float32)) is None
    assert median_f0(tone(200, 0.1)) is None  # too little of it


def test_every_frame_lies_in_the_range() -> None:
    rising = np.concatenate([tone(hz, 0.2) for hz in (40, 80, 160, 320, 640)])
    found = voiced_f0(rising)
    assert len(found) > 10
    assert found.min() >= LOWEST_HZ - 2
    assert found.max() <= HIGHEST_HZ + 10
