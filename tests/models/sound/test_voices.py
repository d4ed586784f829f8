"""Voices made of voices: what moves, by how much, and what stays."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.sound.voices import at_speed, with_formants_at

RATE = 16_000
PITCH_HZ, FORMANT_HZ = 120, 1500


def vowel(seconds: float = 1.0) -> NDArray[np.float32]:
    """Harmonics of a pitch under one formant."""
    time = np.arange(round(seconds * RATE)) / RATE
    harmonics = np.arange(PITCH_HZ, 7000, PITCH_HZ)
    gains = 0.02 + np.exp(-0.5 * ((harmonics - FORMANT_HZ) / 250) ** 2)
    waves = gains[:, None] * np.sin(2 * np.pi * harmonics[:, None] * time)
    return (0.05 * waves.sum(axis=0)).astype(np.float32)


def spectrum(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Amplitudes by Hz, of a second from the middle."""
    first = max((len(sound) - RATE) // 2, 0)
    cut = sound[first : first + RATE]
    return np.abs(np.fft.rfft(cut * np.hanning(len(cut)), n=RATE)).astype(np.float32)


def formant_hz(sound: NDArray[np.float32]) -> float:
    """Centre of mass of what is strong."""
    power = spectrum(sound)[:8000] ** 2
    power[power < power.max() / 30] = 0
    return float((power * np.arange(8000)).sum() / power.sum())


def harmonic_hz(sound: NDArray[np.float32]) -> float:
    """Distance of the harmonics, by the autocorrelation of the spectrum."""
    amplitude = spectrum(sound)[200:4000]
    amplitude = amplitude - amplitude.mean()
    likeness = np.correlate(amplitude, amplitude, "full")[len(amplitude) - 1 :]
    return float(80 + likeness[80:200].argmax())


@pytest.mark.parametrize("factor", [0.83, 0.9, 1.1, 1.2])
def test_formants_move_and_the_pitch_stays(factor: float) -> None:
    sound = vowel()
    moved = with_formants_at(sound, factor)
    assert moved.shape == sound.shape
    assert moved.dtype == np.float32
    assert formant_hz(moved) == pytest.approx(FORMANT_HZ * factor, rel=0.05)
    assert harmonic_hz(moved) == pytest.approx(PITCH_HZ, abs=2)


@pytest.mark.parametrize("speed", [0.8, 1.24])
def test_what_is_said_faster_is_shorter_and_all_of_it_is_higher(speed: float) -> None:
    faster = at_speed(vowel(2.0), speed)
    assert len(faster) == pytest.approx(2 * RATE / speed, abs=2)
    assert harmonic_hz(faster) == pytest.approx(PITCH_HZ * speed, abs=2)
    assert formant_hz(faster) == pytest.approx(FORMANT_HZ * speed, rel=0.05)


def test_a_factor_of_one_changes_nothing() -> None:
    sound = vowel(0.3)
    assert at_speed(sound, 1.0) is sound
    assert with_formants_at(sound, 1.0) is sound


def test_a_hair_of_a_move_is_a_hair_of_a_change() -> None:
    sound = vowel(0.5)
    assert float(np.abs(with_formants_at(sound, 1.0001) - sound).max()) < 0.01 * np.abs(sound).max()


@pytest.mark.parametrize("samples", [0, 1, 127, 512, 5000])
def test_sound_of_any_length_keeps_it(samples: int) -> None:
    found = with_formants_at(vowel()[:samples], 1.15)
    assert found.shape == (samples,)
    assert np.isfinite(found).all()


def test_silence_stays_silent() -> None:
    assert float(np.abs(with_formants_at(np.zeros(RATE, np.float32), 1.2)).max()) == 0


def noise_up_to(edge_hz: float) -> NDArray[np.float32]:
    """White noise of two seconds, low-passed."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(2 * RATE))
    spectrum[round(edge_hz * 2) :] = 0
    return (0.1 * np.fft.irfft(spectrum)).astype(np.float32)


def band_db(sound: NDArray[np.float32], low_hz: int, high_hz: int) -> float:
    """Mean power of a band."""
    return float(10 * np.log10(np.square(spectrum(sound)[low_hz:high_hz]).mean() + 1e-12))


@pytest.mark.parametrize("factor", [0.83, 1.2])
def test_a_flat_spectrum_stays_flat_to_its_edge(factor: float) -> None:
    sound = noise_up_to(8000)
    moved = with_formants_at(sound, factor)
    for low_hz in range(0, 8000, 500):
        own = band_db(sound, low_hz, low_hz + 500)
        assert band_db(moved, low_hz, low_hz + 500) == pytest.approx(own, abs=2)


def test_the_edge_of_a_band_moves_as_far_as_there_is_sound() -> None:
    sound = noise_up_to(6000)
    own = band_db(sound, 1000, 4000)
    lower = with_formants_at(sound, 0.83)
    assert band_db(lower, 1000, 4000) == pytest.approx(own, abs=2)
    assert band_db(lower, 5400, 5900) < own - 10
    # Where there was nothing, nothing much is made.
    higher = with_formants_at(sound, 1.2)
    assert band_db(higher, 1000, 4000) == pytest.approx(own, abs=2)
    assert band_db(higher, 6300, 7900) < own - 30
