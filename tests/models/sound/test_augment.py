"""Augmentation: shapes, levels and bands that can be measured, and reproducibility."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile as sf
import torch

from models.sound.augment import (
    Augment,
    AugmentConfig,
    CorpusError,
    load_noise,
    mu_law,
    simulate_rooms,
    telephone,
)
from models.sound.conditions import is_training_noise

OFF = AugmentConfig(
    reverberation=0,
    equaliser=0,
    noise=0,
    babble=0,
    telephone=0,
    band_limit=0,
    clipping=0,
)
NOISE = np.random.default_rng(3).standard_normal(80_000).astype(np.float32)
ROOMS = np.zeros((2, 8000), np.float32)
ROOMS[:, 0] = 1.0


def augment(seed: int = 1, **effects: object) -> Augment:
    return Augment(msgspec.structs.replace(OFF, **effects), NOISE, ROOMS, seed)


def speech(batch: int = 6, samples: int = 16_000) -> torch.Tensor:
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(5)) * 0.05


def band_power(x: torch.Tensor, low_hz: float, high_hz: float) -> float:
    spectrum = torch.fft.rfft(x).abs().square()
    frequency = torch.linspace(0, 8000, spectrum.shape[1])
    return float(spectrum[:, (frequency >= low_hz) & (frequency < high_hz)].sum())


def test_everything_at_once_keeps_shape_and_stays_finite() -> None:
    x = Augment(AugmentConfig(), NOISE, ROOMS, 1)(speech())
    assert x.shape == (6, 16_000)
    assert bool(x.isfinite().all())
    assert float(x.abs().max()) <= 1.0


def test_the_same_seed_gives_the_same_sound_and_another_another() -> None:
    effects = {"noise": 0.5, "babble": 0.5, "equaliser": 0.5}
    first, again = augment(1, **effects)(speech()), augment(1, **effects)(speech())
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first, augment(2, **effects)(speech()))


def test_noise_has_the_stated_ratio() -> None:
    clean = augment(1)(speech())
    noisy = augment(1, noise=1.0, noise_snr_db=(6.0, 6.0))(speech())
    # The level is set after mixing: take the clean part out by projection.
    scale = (clean * noisy).sum(1, keepdim=True) / clean.square().sum(1, keepdim=True)
    rest = noisy - scale * clean
    snr = 10 * torch.log10((scale * clean).square().mean(1) / rest.square().mean(1))
    torch.testing.assert_close(snr, torch.full((6,), 6.0), rtol=0, atol=0.3)


def test_the_telephone_passes_its_band_only() -> None:
    x = telephone(speech())
    inside, outside = band_power(x, 400, 3300), band_power(x, 3700, 8000) + band_power(x, 0, 150)
    assert outside < 2e-3 * inside


@pytest.mark.parametrize("level", [1.0, 0.5, 0.05])
def test_mu_law_errs_by_a_fixed_share_of_the_level(level: float) -> None:
    x = torch.linspace(-level, level, 1001)
    error = (mu_law(x) - x).square().mean() / x.square().mean()
    assert 20 < -10 * torch.log10(error) < 45


def test_rooms_start_with_the_direct_path_and_have_unit_energy() -> None:
    pytest.importorskip("pyroomacoustics")
    rooms = simulate_rooms(3, seed=4)
    np.testing.assert_allclose((rooms**2).sum(axis=1), 1.0, rtol=1e-4)
    assert np.abs(rooms).argmax(axis=1).max() < 400
    np.testing.assert_array_equal(rooms, simulate_rooms(3, seed=4))


def test_masks_hide_a_band_and_a_stretch() -> None:
    hidden = augment().feature_mask(4, 150, 80)
    assert hidden.shape == (4, 150, 80)
    whole_bins, whole_frames = hidden.all(dim=1).sum(dim=1), hidden.all(dim=2).sum(dim=1)
    assert int(whole_bins.max()) <= OFF.frequency_mask_bins
    assert int(whole_frames.max()) <= OFF.time_mask_frames
    assert bool(hidden.any())


def test_noise_is_split_between_training_and_evaluation(tmp_path: Path) -> None:
    names = [f"n{i}.opus" for i in range(12)]
    for name in names:
        sf.write(tmp_path / name, NOISE[:16_000] * 0.1, 16_000, format="OGG", subtype="OPUS")
    training = [n for n in names if is_training_noise(tmp_path / n)]
    assert 0 < len(training) < len(names)
    loaded = load_noise(tmp_path)
    assert len(loaded) == 16_000 * len(training)
    assert float(np.mean(loaded**2)) == pytest.approx(1.0, rel=1e-3)


def test_a_folder_without_noise_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no noise"):
        load_noise(tmp_path)


def test_little_noise_is_heard_over_and_over() -> None:
    config = msgspec.structs.replace(OFF, noise=1.0, noise_snr_db=(0.0, 0.0))
    for count in (100, 15_999, 16_000, 16_001):
        x = speech()
        heard = Augment(config, NOISE[:count], ROOMS, 1)(x)
        added = (heard / heard.abs().amax() - x / x.abs().amax()).square().mean(dim=1)
        assert bool((added > 0).all()), count
        assert bool(heard.isfinite().all())


@pytest.mark.parametrize(("rate_hz", "channels"), [(24_000, 1), (16_000, 2)])
def test_noise_of_another_form_is_named(tmp_path: Path, rate_hz: int, channels: int) -> None:
    sound = np.tile(NOISE[:24_000, None] * 0.1, (1, channels))
    for i in range(4):  # some of them are trained with
        sf.write(tmp_path / f"n{i}.opus", sound, rate_hz, format="OGG", subtype="OPUS")
    with pytest.raises(CorpusError, match=r"n\d.opus is not mono at 16000 Hz: convert it"):
        load_noise(tmp_path)
