from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchaudio
from numpy.typing import NDArray

from models.network.frontend import LogMel


def test_features_agree_with_the_official_front_end(
    parity_folder: Path, reference_waveform: NDArray[np.float32]
) -> None:
    found = LogMel()(torch.from_numpy(reference_waveform)[None])[0].numpy()
    expected = np.load(parity_folder / "features.npy")
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize("samples", [400, 8000, 10_007, 16_159, 16_160])
def test_agrees_with_a_fast_fourier_transform(samples: int) -> None:
    """The folded matrix products against torchaudio, at lengths that are no whole hop too."""
    x = 0.1 * torch.randn(2, samples, generator=torch.Generator().manual_seed(3))
    emphasised = x - 0.97 * torch.cat([x[:, 1:2], x[:, :-1]], dim=1)
    mel = torchaudio.transforms.MelSpectrogram(
        16000, 512, 400, 160, 20.0, 7600.0, n_mels=80, window_fn=torch.hamming_window
    )
    expected = (mel(emphasised) + 1e-6).log()
    expected = expected - expected.mean(dim=-1, keepdim=True)
    torch.testing.assert_close(LogMel()(x), expected, atol=1e-3, rtol=0)


def test_silence_gives_finite_features() -> None:
    torch.testing.assert_close(
        LogMel()(torch.zeros(1, 16000)), torch.zeros(1, 80, 101), atol=1e-4, rtol=0
    )


def test_louder_speech_has_the_same_features() -> None:
    x = 0.1 * torch.randn(1, 16000, generator=torch.Generator().manual_seed(4))
    # Where a bin happens to be empty, the floor under the logarithm shows: hence the median.
    assert (LogMel()(x) - LogMel()(3 * x)).abs().median() < 1e-3


def test_half_precision_autocast_does_not_touch_the_arithmetic() -> None:
    x = 0.1 * torch.randn(1, 16000, generator=torch.Generator().manual_seed(5))
    front_end = LogMel()
    with torch.autocast("cpu", torch.bfloat16):
        inside = front_end(x)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, front_end(x))
