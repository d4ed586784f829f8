"""Augmentation of training crops: noise, babble, rooms, bands, codecs, level.

Every corpus here has one session a speaker, so that without this the network
learns microphones instead of voices. Effects work on whole batches ``(B, samples)``
of float32 at 16 kHz; each draws its own subset of the batch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from torch import Tensor

from engine.format import SAMPLE_RATE_HZ
from models.sound.conditions import is_training_noise
from models.sound.degradations import power
from models.sound.files import CorpusError, read_training_sound

RIR_SAMPLES = 8000  # half a second at 16 kHz
MU = 255.0  # of the companding curve of ITU-T G.711

Float32 = NDArray[np.float32]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Width = Annotated[int, msgspec.Meta(ge=0)]
Decibels = Annotated[float, msgspec.Meta(ge=-100, le=100)]


def noise_files(folder: Path) -> list[Path]:
    """The pieces of noise that training hears."""
    return sorted(p for p in folder.rglob("*.opus") if is_training_noise(p))


def load_noise(folder: Path) -> Float32:
    """All training noise pieces end to end, each at unit power."""
    pieces = []
    for path in noise_files(folder):
        waveform = read_training_sound(path, "remove it")
        piece_power = power(waveform)
        if piece_power > 0:
            pieces.append(waveform / np.float32(np.sqrt(piece_power)))
    if not pieces:
        raise CorpusError(f"there is no noise to train with in {folder}: put .opus files there")
    return np.concatenate(pieces)


def simulate_rooms(count: int, seed: int) -> Float32:
    """Room impulse responses ``(count, 8000)``, unit energy, direct path first.

    Shoebox rooms by the image-source method (pyroomacoustics): 2.5-9 m sides,
    RT60 0.15-0.9 s, source 0.3-4 m from the microphone.
    """
    import pyroomacoustics as pra

    rng = np.random.default_rng(seed)
    responses = np.zeros((count, RIR_SAMPLES), np.float32)
    for row in responses:
        size = rng.uniform([2.5, 2.5, 2.3], [9.0, 7.0, 3.5])
        # A small room cannot be made long-lived by any wall: take what Sabine allows.
        rt60 = rng.uniform(0.15, 0.9)
        try:
            absorption, order = pra.inverse_sabine(rt60, size)
        except ValueError:
            absorption, order = 0.3, 12
        room = pra.ShoeBox(
            size, fs=SAMPLE_RATE_HZ, materials=pra.Material(absorption), max_order=min(order, 12)
        )
        microphone = rng.uniform([0.3] * 3, size - 0.3)
        direction = rng.standard_normal(3)
        distance = rng.uniform(0.3, 4.0)
        source = microphone + distance * direction / np.linalg.norm(direction)
        room.add_source(np.clip(source, 0.2, size - 0.2))
        room.add_microphone(microphone)
        room.compute_rir()
        rir = room.rir[0][0]
        start = max(int(np.argmax(np.abs(rir))) - 8, 0)
        rir = rir[start : start + RIR_SAMPLES]
        row[: len(rir)] = rir / np.sqrt(np.sum(rir**2))
    return responses


def mu_law(x: Tensor) -> Tensor:
    """Quantise to 8-bit mu-law and back (ITU-T G.711 companding curve), in [-1, 1]."""
    x = x.clamp(-1, 1)
    compressed = x.sign() * torch.log1p(MU * x.abs()) / np.log1p(MU)
    quantised = torch.round((compressed + 1) * 127.5) / 127.5 - 1
    return quantised.sign() * (torch.exp(quantised.abs() * np.log1p(MU)) - 1) / MU


def telephone(x: Tensor) -> Tensor:
    """8 kHz, 300-3400 Hz, mu-law, back at 16 kHz: ``(B, samples)``, even length."""
    samples = x.shape[1]
    spectrum = torch.fft.rfft(x)
    kept = samples // 4 + 1
    frequency = torch.linspace(0, 4000, kept)
    # 100 Hz raised edges: a brick wall rings.
    band = ((frequency - 250) / 100).clamp(0, 1) * ((3500 - frequency) / 100).clamp(0, 1)
    narrow = mu_law(torch.fft.irfft(spectrum[:, :kept] * band, n=samples // 2) / 2)
    wide = torch.zeros_like(spectrum)
    wide[:, :kept] = torch.fft.rfft(narrow) * 2
    result: Tensor = torch.fft.irfft(wide, n=samples)
    return result


class AugmentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Probability of each effect on a crop, and the ranges they draw from."""

    reverberation: Probability = 0.4
    equaliser: Probability = 0.5
    noise: Probability = 0.45
    babble: Probability = 0.2
    telephone: Probability = 0.15
    band_limit: Probability = 0.1
    clipping: Probability = 0.05
    opus: Probability = 0.15
    noise_snr_db: tuple[Decibels, Decibels] = (0.0, 20.0)
    babble_snr_db: tuple[Decibels, Decibels] = (5.0, 20.0)
    rooms: Count = 1500
    frequency_mask_bins: Width = 8
    time_mask_frames: Width = 12


class Augment:
    """Applies :class:`AugmentConfig` to batches, all randomness from one generator."""

    def __init__(self, config: AugmentConfig, noise: Float32, rooms: Float32, seed: int) -> None:
        self.config = config
        self._noise = torch.from_numpy(noise)
        self._rooms = torch.from_numpy(rooms)
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, x: Tensor) -> Tensor:
        """``(B, samples)`` to the same shape. Other rows of the batch serve as babble."""
        c = self.config
        clean = x
        x = self._filter(x)
        x = self._mix(x, self._noise_crops(x), c.noise, c.noise_snr_db)
        x = self._mix(x, self._babble(clean), c.babble, c.babble_snr_db)
        x = self._level(x)
        chosen = self._chosen(len(x), c.telephone)
        if len(chosen):
            x[chosen] = telephone(x[chosen])
        chosen = self._chosen(len(x), c.clipping)
        if len(chosen):
            peak = x[chosen].abs().amax(dim=1, keepdim=True)
            limit = peak * self._uniform((len(chosen), 1), 0.2, 0.7)
            x[chosen] = torch.minimum(torch.maximum(x[chosen], -limit), limit)
        return x

    def feature_mask(self, batch: int, frames: int, bins: int) -> Tensor:
        """SpecAugment (arXiv 1904.08779): one frequency and one time mask an utterance.

        ``(B, T, bins)``, true where a feature is to be hidden.
        """
        c = self.config
        mask = torch.zeros(batch, frames, bins, dtype=torch.bool)
        for axis, size, widest in (
            (1, frames, c.time_mask_frames),
            (2, bins, c.frequency_mask_bins),
        ):
            width = self._uniform((batch, 1), 0, widest + 1).floor()
            start = (self._uniform((batch, 1), 0, 1) * (size - width)).floor()
            index = torch.arange(size)[None]
            hit = (index >= start) & (index < start + width)
            mask |= hit.unsqueeze(3 - axis)
        return mask

    def _uniform(self, shape: tuple[int, ...], low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=self.generator)

    def _integers(self, high: int, count: int) -> Tensor:
        return torch.randint(high, (count,), generator=self.generator)

    def _chosen(self, batch: int, probability: float) -> Tensor:
        draw = torch.rand(batch, generator=self.generator)
        return (draw < probability).nonzero().squeeze(1)

    def _filter(self, x: Tensor) -> Tensor:
        """Room, random equaliser and band limit in one pass through the frequency domain."""
        c = self.config
        batch, samples = x.shape
        n = next_fast_len(samples + RIR_SAMPLES, real=True)
        spectrum = torch.fft.rfft(x, n=n)
        chosen = self._chosen(batch, c.reverberation)
        if len(chosen):
            rooms = self._rooms[self._integers(len(self._rooms), len(chosen))]
            spectrum[chosen] *= torch.fft.rfft(rooms, n=n)
        chosen = self._chosen(batch, c.equaliser)
        if len(chosen):
            spectrum[chosen] *= self._equaliser(len(chosen), spectrum.shape[1])
        chosen = self._chosen(batch, c.band_limit)
        if len(chosen):
            frequency = torch.linspace(0, SAMPLE_RATE_HZ / 2, spectrum.shape[1])
            low = self._uniform((len(chosen), 1), 0, 300)
            high = self._uniform((len(chosen), 1), 3400, 7500)
            spectrum[chosen] *= ((frequency - low) / 100).clamp(0, 1) * (
                (high - frequency) / 200
            ).clamp(0, 1)
        result: Tensor = torch.fft.irfft(spectrum, n=n)[:, :samples].contiguous()
        return result

    def _equaliser(self, count: int, bins: int) -> Tensor:
        """Smooth gain curves: eight random points within +-8 dB, interpolated."""
        points = self._uniform((count, 1, 8), -8, 8)
        gain_db = torch.nn.functional.interpolate(points, bins, mode="linear", align_corners=True)
        return torch.pow(10.0, gain_db.squeeze(1) / 20)

    def _noise_crops(self, x: Tensor) -> Tensor:
        times = x.shape[1] // len(self._noise) + 1  # 1, unless a crop is longer than all of it
        noise = self._noise.repeat(times) if times > 1 else self._noise
        starts = self._integers(len(noise) - x.shape[1], len(x))
        return noise.unfold(0, x.shape[1], 1)[starts]

    def _babble(self, x: Tensor) -> Tensor:
        """Three to six other voices of the batch, each starting anywhere."""
        total = torch.zeros_like(x)
        for voice in range(6):
            shift = int(self._integers(x.shape[1], 1))
            other = x[torch.randperm(len(x), generator=self.generator)].roll(shift, dims=1)
            keep = self._uniform((len(x), 1), 0, 1) < (1.0 if voice < 3 else 0.5)
            total += other * keep
        return total

    def _mix(
        self, x: Tensor, noise: Tensor, probability: float, snr_db: tuple[float, float]
    ) -> Tensor:
        chosen = self._chosen(len(x), probability)
        if not len(chosen):
            return x
        speech, noise = x[chosen], noise[chosen]
        snr = self._uniform((len(chosen), 1), *snr_db)
        ratio = speech.square().mean(1, True) / noise.square().mean(1, True).clamp_min(1e-10)
        x[chosen] = speech + noise * (ratio * torch.pow(10.0, -snr / 10)).sqrt()
        return x

    def _level(self, x: Tensor) -> Tensor:
        """Peak to a random level between -26 and -1 dBFS."""
        peak = x.abs().amax(dim=1, keepdim=True).clamp_min(1e-6)
        target = torch.pow(10.0, self._uniform((len(x), 1), -26, -1) / 20)
        return x * (target / peak)
