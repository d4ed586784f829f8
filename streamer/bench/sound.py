"""Sound for benchmarks: speech made by formula, the same on every machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.audio.files import read_audio
from engine.format import INT16_PEAK, SAMPLE_RATE_HZ

Float32 = NDArray[np.float32]

# Formants in Hz of five vowels (Peterson and Barney 1952, men's averages, rounded).
VOWELS_HZ = np.array(
    [[730, 1090, 2440], [270, 2290, 3010], [300, 870, 2240], [530, 1840, 2480], [570, 840, 2410]]
)
GAINS_AND_WIDTHS_HZ = ((1.0, 60), (0.5, 90), (0.25, 120))
SYLLABLE_S = 0.22


def spoken(seconds: float, *, pitch_hz: float = 110.0, seed: int = 0) -> Float32:
    """Vowels without a pause, at a wandering pitch: float32 16 kHz, peak 0.5."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    pitch = pitch_hz * (1 + 0.12 * np.sin(3.8 * t + seed) + 0.04 * np.sin(17 * t))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ
    syllable, part = np.divmod(t / SYLLABLE_S, 1)
    order = rng.integers(0, len(VOWELS_HZ), int(syllable.max()) + 2)
    glide = np.clip((part - 0.7) / 0.3, 0, 1)[:, None]
    now, after = (VOWELS_HZ[order[syllable.astype(int) + i]] for i in (0, 1))
    formants = now * (1 - glide) + after * glide
    sound = np.zeros_like(t)
    for harmonic in range(1, int(5500 / pitch_hz)):
        gain = sum(
            g / (1 + ((harmonic * pitch - formants[:, i]) / width) ** 2)
            for i, (g, width) in enumerate(GAINS_AND_WIDTHS_HZ)
        )
        sound += gain / np.sqrt(harmonic) * np.sin(harmonic * phase)
    sound *= 0.25 + 0.75 * np.sin(np.pi * part) ** 0.7
    sound = 0.5 * sound / np.abs(sound).max() + 0.003 * rng.standard_normal(len(t))
    return np.asarray(sound, np.float32)


def loops(file: Path | None, count: int, seconds: float) -> list[bytes]:
    """``count`` different pieces of speech as s16le at 16 kHz, of a file or by formula."""
    if file is None:
        voices = [spoken(seconds, pitch_hz=100.0 + 15 * i, seed=i) for i in range(count)]
    else:
        whole = np.resize(read_audio(file).waveform, round(seconds * SAMPLE_RATE_HZ))
        voices = [np.roll(whole, i * len(whole) // count) for i in range(count)]
    return [s16le(voice) for voice in voices]


def s16le(sound: Float32) -> bytes:
    """Float32 in [-1, 1] as 16 bit PCM."""
    return (np.clip(sound, -1, 1) * INT16_PEAK).astype("<i2").tobytes()
