"""Kaldi's filter bank in ONNX against the one of torchaudio."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import torchaudio
from numpy.typing import NDArray

from models.network.fbank import (
    N_MELS,
    OLDEST_OPSET,
    KaldiFbank,
    fbank_graph,
    fbank_model,
    mel_filters,
    window,
)

Float32 = NDArray[np.float32]
# The forms that WeSpeaker and 3D-Speaker train on, and both without the mean.
WESPEAKER = KaldiFbank(window="hamming", int16_range=True)
FORMS = (
    WESPEAKER,
    KaldiFbank(),
    KaldiFbank("hamming", int16_range=True, subtract_mean=False),
    KaldiFbank("povey", int16_range=False, subtract_mean=False),
)


@cache
def session(config: KaldiFbank, opset: int) -> ort.InferenceSession:
    model = fbank_model(config, opset)
    onnx.checker.check_model(model, full_check=True)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def run(config: KaldiFbank, waveform: Float32, opset: int = 20) -> Float32:
    return np.asarray(session(config, opset).run(None, {"waveform": waveform})[0])


def by_torchaudio(config: KaldiFbank, waveform: Float32) -> Float32:
    rows = []
    for row in torch.from_numpy(waveform * (32768 if config.int16_range else 1)):
        features = torchaudio.compliance.kaldi.fbank(
            row[None], num_mel_bins=N_MELS, window_type=config.window, dither=0.0
        )
        rows.append(features - features.mean(dim=0) if config.subtract_mean else features)
    return np.asarray(torch.stack(rows).numpy())


def by_definition(config: KaldiFbank, waveform: Float32) -> NDArray[np.float64]:
    """In double precision, with a Fourier transform and frames taken one by one."""
    x = waveform * (32768.0 if config.int16_range else 1.0)
    starts = range(0, x.shape[1] - 399, 160)
    frames = np.stack([x[:, i : i + 400] for i in starts], axis=1).astype(np.float64)
    frames -= frames.mean(axis=2, keepdims=True)
    frames -= 0.97 * np.concatenate([frames[..., :1], frames[..., :-1]], axis=2)
    power = np.abs(np.fft.rfft(frames * window(config.window), 512)) ** 2
    features = np.log(np.maximum(power[..., :256] @ mel_filters(), np.finfo(np.float32).eps))
    mean = features.mean(axis=1, keepdims=True) if config.subtract_mean else 0.0
    return np.asarray(features - mean)


def sound(batch: int, samples: int) -> Float32:
    """A voice, a swept tone, noise and a mixture, with offsets and at different levels."""
    rng = np.random.default_rng(samples)
    t = np.arange(samples) / 16000
    buzz = np.exp(8 * np.cos(2 * np.pi * 130 * t) - 8) * np.sin(2 * np.pi * 2 * t)
    noise = 0.01 * rng.standard_normal((4, samples))
    rows = noise + np.stack([0.3 * buzz, 0.03 * sweep(t) + 0.02, 0 * t - 0.05, 0.02 * buzz])
    return np.asarray(rows[:batch], np.float32)


def sweep(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sin(2 * np.pi * (50 * t + 900 * t**2)))


@pytest.mark.parametrize("config", FORMS)
@pytest.mark.parametrize("samples", [400, 559, 560, 16_079, 48_000, 130_001])
def test_agrees_with_torchaudio(config: KaldiFbank, samples: int) -> None:
    waveform = sound(1 + samples % 4, samples)  # of every batch size from 1 to 4
    found, expected = run(config, waveform), by_torchaudio(config, waveform)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-3


@pytest.mark.parametrize("opset", [OLDEST_OPSET, 13, 17, 18, 20, 21])
def test_every_opset_gives_the_same(opset: int) -> None:
    waveform = sound(2, 20_000)
    np.testing.assert_array_equal(run(WESPEAKER, waveform, opset), run(WESPEAKER, waveform))


def test_an_older_opset_is_refused() -> None:
    with pytest.raises(ValueError, match="opset 11"):
        fbank_graph(KaldiFbank(), OLDEST_OPSET - 1)


def test_silence_stands_on_the_floor() -> None:
    silence = np.zeros((1, 16000), np.float32)
    plain = KaldiFbank(subtract_mean=False)
    np.testing.assert_allclose(run(plain, silence), by_torchaudio(plain, silence), atol=1e-5)
    np.testing.assert_allclose(run(KaldiFbank(), silence), 0, atol=1e-5)


def test_names_do_not_meet_those_of_an_encoder() -> None:
    graph = fbank_graph(KaldiFbank(), 13, prefix="mine/")
    names = [*(t.name for t in graph.initializer), *(o for n in graph.node for o in n.output)]
    assert len(names) == len(set(names))
    assert all(name.startswith("mine/") for name in names)
    assert graph.output[0].name == "mine/features"


def test_a_loud_tone_in_little_noise_is_as_exact_as_single_precision_allows() -> None:
    """Where filters differ by 60 dB and more torchaudio itself is off by more than 0.001."""
    t = np.arange(48_000) / 16000
    hiss = 1e-3 * np.random.default_rng(0).standard_normal(len(t))
    waveform = (0.3 * sweep(t) + 0.1 + hiss)[None].astype(np.float32)
    for config in FORMS:
        found, exact = run(config, waveform), by_definition(config, waveform)
        assert np.abs(found - exact).max() < 4e-3
        assert np.abs(found - exact).mean() < 1e-4


def test_agrees_with_the_features_of_the_published_reference(parity_folder: Path) -> None:
    with np.load(parity_folder / "campplus_reference.npz") as stored:
        reference = dict(stored)
    for key in (k for k in reference if k.startswith("features")):
        samples = (len(reference[key]) - 1) * 160 + 400
        waveform = np.resize(reference["waveform"], samples)[None]
        assert np.abs(run(KaldiFbank(), waveform)[0] - reference[key]).max() < 1e-3
