"""Quality quality_figures: known levels and noises, and the same for any cutting."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio.levels import BLOCK_SAMPLES, LevelMeter, LevelSums, level_sums
from engine.audio.quality import (
    HELD_PEAKS,
    LEAST_BLOCKS,
    PeakMeter,
    QualityMeter,
    quality_figures,
)
from engine.format import SAMPLE_RATE_HZ


def noise(level: float, samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal(samples)).astype(np.float32)


def test_levels_are_those_of_speech_where_there_is_any() -> None:
    speech = level_sums(np.full(16_000, 0.5, np.float32), speech=True)
    other = level_sums(np.full(16_000, 0.05, np.float32), speech=False)
    assert quality_figures(speech + other).level_dbfs == pytest.approx(-6.0, abs=0.05)
    assert quality_figures(other).level_dbfs == pytest.approx(-26.0, abs=0.05)
    assert (
        quality_figures(level_sums(np.zeros(16_000, np.float32), speech=False)).level_dbfs is None
    )


@pytest.mark.parametrize("snr_db", [0, 5, 10, 20, 40])
def test_the_snr_is_that_of_known_noise(snr_db: int) -> None:
    background = 0.1 * 10 ** (-snr_db / 20)
    speech = noise(0.1, 64_000) + noise(background, 64_000, 1)
    sound = level_sums(speech, speech=True) + level_sums(noise(background, 64_000, 2), speech=False)
    assert quality_figures(sound).snr_db == pytest.approx(snr_db, abs=1.5)
    assert ("noisy" in quality_figures(sound).problems) == (snr_db < 9)


def test_speech_that_the_detector_missed_is_not_noise() -> None:
    speech = level_sums(noise(0.1, 32_000), speech=True)
    pause = np.concatenate([noise(0.1, 4096, 1), noise(0.001, 6144, 2)])
    assert quality_figures(speech + level_sums(pause, speech=False)).snr_db == pytest.approx(
        40, abs=2
    )


def test_noise_that_was_hardly_heard_is_not_known() -> None:
    speech = level_sums(noise(0.1, 32_000), speech=True)
    pause = noise(0.001, (LEAST_BLOCKS - 1) * BLOCK_SAMPLES)
    assert quality_figures(speech + level_sums(pause, speech=False)).snr_db is None


def test_clipping_is_the_share_at_full_scale() -> None:
    samples = np.concatenate([np.full(980, 0.3), np.full(12, 1.0), np.full(8, -1.0)])
    found = quality_figures(level_sums(samples.astype(np.float32), speech=True))
    assert found.clipped == 0.02
    assert found.problems == ("clipped",)
    assert quality_figures(level_sums(samples[:985].astype(np.float32), speech=True)).problems == ()


@pytest.mark.parametrize(
    ("sound", "problems"),
    [
        (LevelSums(), ("no-speech",)),
        (level_sums(noise(0.05, 16_000), speech=False), ("no-speech",)),
        (level_sums(noise(0.001, 16_000), speech=True), ("quiet",)),
        (level_sums(noise(0.05, 16_000), speech=True), ()),
    ],
)
def test_problems_are_named(sound: LevelSums, problems: tuple[str, ...]) -> None:
    assert quality_figures(sound).problems == problems


@given(st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=12))
def test_cutting_changes_no_figure(pieces: list[tuple[int, bool]]) -> None:
    whole, parts = [], []
    for seed, (blocks, speech) in enumerate(pieces):
        samples = noise(0.07, blocks * BLOCK_SAMPLES, seed)
        whole.append(level_sums(samples, speech=speech))
        cut = BLOCK_SAMPLES * (blocks // 3)
        parts += [
            level_sums(samples[:cut], speech=speech),
            level_sums(samples[cut:], speech=speech),
        ]
    assert quality_figures(reduce(add, whole)) == quality_figures(reduce(add, reversed(parts)))


@given(st.lists(st.integers(1, 12), min_size=1, max_size=12), st.integers(0, 40))
def test_cutting_a_pause_changes_no_figure_where_lines_are(pieces: list[int], hz: int) -> None:
    blocks = sum(pieces)
    t = np.arange(blocks * BLOCK_SAMPLES) / SAMPLE_RATE_HZ
    tone = np.asarray(0.05 * np.sin(2 * np.pi * (400 + hz) * t), np.float32)
    sound, start = tone + noise(0.001, len(tone)), 0
    cut, whole = LevelMeter(), level_sums(sound, speech=False)
    for piece in pieces:
        cut.add(sound[start : start + piece * BLOCK_SAMPLES], speech=False)
        start += piece * BLOCK_SAMPLES
    found = cut.take()
    assert found.hum_power == whole.hum_power
    assert found.levels is not None
    assert whole.levels is not None
    assert found.levels.tolist() == whole.levels.tolist()


def test_a_period_without_a_pause_is_measured_against_the_last_pause() -> None:
    meter = QualityMeter()
    meter.add(noise(0.1, 16_000), speech=True)
    assert meter.take().snr_db is None
    meter.add(noise(0.01, 16_000), speech=False)
    meter.take()
    meter.add(noise(0.1, 16_000), speech=True)
    found = meter.take()
    assert found.snr_db == pytest.approx(20, abs=1.5)
    assert found.speech_share == 1.0


@given(st.lists(st.integers(0, 900), max_size=12))
def test_peaks_of_any_pieces_are_the_same(sizes: list[int]) -> None:
    samples = noise(0.3, sum(sizes))
    whole, meter = PeakMeter(), PeakMeter()
    whole.add(samples)
    for start, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
        meter.add(samples[start : start + size])
    peaks = meter.take()
    assert peaks == whole.take()
    assert len(peaks) == len(samples) // 320
    assert meter.take() == []


def test_peaks_lie_between_0_and_127() -> None:
    meter = PeakMeter()
    meter.add(np.repeat(np.array([0, -0.5, 1.4], np.float32), 320))
    assert meter.take() == [0, 64, 127]


def test_peaks_that_nobody_takes_do_not_pile_up() -> None:
    meter = PeakMeter()
    for _ in range(30):
        meter.add(np.zeros(16_000, np.float32))
    assert len(meter.take()) == HELD_PEAKS


HUMS = [
    *((pitch_hz,) for pitch_hz in (50, 60, 100, 120, 150, 180, 240, 300, 360, 400, 450.7, 1000)),
    (100, 150),
    (120, 180),
    tuple(range(50, 2000, 50)),
    tuple(range(300, 8000, 300)),
    tuple(range(400, 8000, 400)),
]


@pytest.mark.parametrize("pitches_hz", HUMS)
@pytest.mark.parametrize("level", [0.02, 0.05])
def test_hum_is_named_and_is_no_noise(pitches_hz: tuple[float, ...], level: float) -> None:
    t = np.arange(64_000) / SAMPLE_RATE_HZ
    tones = [np.sin(2 * np.pi * pitch_hz * t + pitch_hz) for pitch_hz in pitches_hz]
    hum = np.asarray(level * sum(tones) / len(tones) ** 0.5, np.float32)
    speech, quiet = noise(0.1, 64_000) + hum, noise(0.001, 64_000, 2) + hum
    found = quality_figures(level_sums(speech, speech=True) + level_sums(quiet, speech=False))
    assert found.snr_db is not None
    assert found.snr_db > 20
    assert found.problems == ("hum",)


def test_hum_is_none_of_the_noise_in_short_pauses() -> None:
    t = np.arange(48_000) / SAMPLE_RATE_HZ
    sound = noise(0.001, 48_000) + np.asarray(0.05 * np.sin(2 * np.pi * 400 * t), np.float32)
    sums = LevelMeter()
    for start in range(0, 48_000, 8192):
        sums.add(noise(0.1, 4096, start), speech=True)
        sums.add(sound[start : start + 4096], speech=False)
    found = quality_figures(sums.take())
    assert found.snr_db is not None
    assert found.snr_db > 20


def wavering(pitch_hz: float, samples: int, by: float = 0.1, times_s: float = 5.0) -> np.ndarray:
    """The phase of what is higher and lower by a share of its pitch, so many times a second."""
    t = np.arange(samples) / SAMPLE_RATE_HZ
    turns = pitch_hz * (t + by * np.sin(2 * np.pi * times_s * t) / (2 * np.pi * times_s))
    return np.asarray(2 * np.pi * turns)


def test_noise_and_voices_are_no_hum() -> None:
    # A voice has its pitch, and more power in the harmonics of its first formant.
    phase = wavering(130, 64_000)
    voice = sum(a * np.sin(n * phase) for n, a in enumerate((0.5, 0.6, 1, 1, 0.5), 1))
    for sound in (noise(0.2, 64_000), np.asarray(0.1 * voice, np.float32)):
        assert "hum" not in quality_figures(level_sums(sound, speech=False)).problems


@pytest.mark.parametrize("pitch_hz", [500, 1000, 2000])
def test_a_tone_that_wavers_in_the_band_of_voices_is_noise(pitch_hz: int) -> None:
    tone = (0.05 * np.sin(wavering(pitch_hz, 64_000))).astype(np.float32)
    speech = level_sums(noise(0.1, 64_000) + tone, speech=True)
    assert quality_figures(speech + level_sums(tone, speech=False)).problems == ("noisy",)


def test_an_offset_is_no_hum() -> None:
    sound = noise(0.001, 4096) + np.float32(0.3)  # as at the start, before it is taken away
    assert quality_figures(level_sums(sound, speech=False), None, 0.3).problems == (
        "no-speech",
        "dc-offset",
    )


def test_a_large_offset_is_named() -> None:
    sound = level_sums(noise(0.1, 16_000), speech=True)
    assert "dc-offset" in quality_figures(sound, None, 0.02).problems
    assert "dc-offset" in quality_figures(sound, None, -0.3).problems
    assert "dc-offset" not in quality_figures(sound, None, 0.005).problems
