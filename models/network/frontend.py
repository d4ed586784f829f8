"""Log-mel front end, computed inside the network's graph.

Pre-emphasis, 25 ms periodic Hamming window, 10 ms hop, power spectrum of 512
points, 80 mel filters from 20 to 7600 Hz, log, mean subtraction over the window.

The DFT is two matrix products, so that the exported graph has only operations
that CPU, CUDA and TensorRT all run. A frame is first folded about its centre:
cosines see only its even part and sines only its odd part, which halves the
work and, measured on the reference waveform, the rounding error as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor, nn

LOG_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class FrontEndConfig:
    """Parameters of the front end; lengths in samples, frequencies in Hz."""

    sample_rate_hz: int = 16000
    n_fft: int = 512
    window_samples: int = 400
    hop_samples: int = 160
    n_mels: int = 80
    low_hz: float = 20.0
    high_hz: float = 7600.0
    pre_emphasis: float = 0.97


class LogMel(nn.Module):
    """Waveform ``(B, samples)`` in [-1, 1] to log-mel features ``(B, n_mels, frames)``.

    ``frames = 1 + samples // hop``: frames are centred, edges padded by reflection,
    so at least ``window / 2 + 1`` samples are needed. The arithmetic is float32
    whatever autocast says.
    """

    window: Tensor
    cosines: Tensor
    sines: Tensor
    mel: Tensor
    mirror: Tensor

    def __init__(self, config: FrontEndConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or FrontEndConfig()
        half = c.window_samples // 2
        mel = torchaudio.functional.melscale_fbanks(
            c.n_fft // 2 + 1, c.low_hz, c.high_hz, c.n_mels, c.sample_rate_hz
        )
        used = mel.sum(dim=1).nonzero().squeeze(1)  # bins outside every filter are skipped
        bins = torch.arange(int(used[0]), int(used[-1]) + 1)
        # Rows: centre sample (cosines only), offsets 1..half-1, and the sample at -half,
        # which has no mirror image because the window is periodic.
        offsets = torch.cat([torch.arange(half), torch.tensor([-half])]).double()
        angle = 2 * math.pi / c.n_fft * torch.outer(offsets, bins.double())
        buffers = {
            "window": torch.hamming_window(c.window_samples, periodic=True),
            "cosines": angle.cos().float(),
            "sines": angle.sin().float()[1:],
            "mel": mel[bins],
            "mirror": torch.arange(half - 1, 0, -1),
        }
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        with torch.autocast(waveform.device.type, enabled=False):
            features = self.log_mel(self._frames(waveform.float()))
            features = features - features.mean(dim=1, keepdim=True)
            return features.transpose(1, 2)

    def log_mel(self, frames: Tensor) -> Tensor:
        """Frames ``(B, T, window_samples)`` to log-mel ``(B, T, n_mels)``."""
        frames = frames * self.window
        half = self.config.window_samples // 2
        before = frames.index_select(2, self.mirror)
        centre, after, edge = (
            frames[..., half : half + 1],
            frames[..., half + 1 :],
            frames[..., :1],
        )
        real = torch.cat([centre, after + before, edge], dim=2) @ self.cosines
        imaginary = torch.cat([after - before, edge], dim=2) @ self.sines
        power = real * real + imaginary * imaginary
        return (power @ self.mel + LOG_FLOOR).log()

    def _frames(self, x: Tensor) -> Tensor:
        """Pre-emphasised, reflected and framed: ``(B, frames, window_samples)``."""
        c = self.config
        count = 1 + x.shape[1] // c.hop_samples
        x = x - c.pre_emphasis * torch.cat([x[:, 1:2], x[:, :-1]], dim=1)
        margin = c.window_samples // 2
        x = F.pad(x.unsqueeze(1), (margin, margin), mode="reflect").squeeze(1)
        # Frames are cut as rows of whole hops laid side by side: slices and a reshape,
        # where a gather of overlapping frames would cost more than the DFT.
        rows_per_frame = -(-c.window_samples // c.hop_samples)
        rows = count + rows_per_frame - 1
        x = F.pad(x, (0, c.hop_samples))[:, : rows * c.hop_samples]
        x = x.reshape(x.shape[0], rows, c.hop_samples)
        shifted = [x[:, i : i + count] for i in range(rows_per_frame)]
        return torch.cat(shifted, dim=2)[..., : c.window_samples]


class CausalLogMel(LogMel):
    """The same features for a stream: log-mel that needs no sound from after its frame.

    ``(B, samples)`` to ``(B, samples / hop, n_mels)``: frame ``t`` ends with sample
    ``hop * (t + 1)``, before the first sample there is silence, and no mean is subtracted:
    the network keeps a running one. ``before`` holds the sound of the call before.
    """

    @property
    def history_samples(self) -> int:
        """Samples of the past that a call needs: what a window overlaps, and one to filter."""
        return self.config.window_samples - self.config.hop_samples + 1

    def forward(self, waveform: Tensor, before: Tensor | None = None) -> Tensor:
        """``before`` is ``(B, history_samples)``, silence if it is not given."""
        c = self.config
        with torch.autocast(waveform.device.type, enabled=False):
            x = waveform.float()
            if before is None:
                before = x.new_zeros((x.shape[0], self.history_samples))
            x = torch.cat([before, x], dim=1)
            return self.log_mel(self._hops(x[:, 1:] - c.pre_emphasis * x[:, :-1]))

    def _hops(self, x: Tensor) -> Tensor:
        """Frames that end with each hop of filtered sound: ``(B, frames, window_samples)``."""
        c = self.config
        rows_per_frame = -(-c.window_samples // c.hop_samples)
        x = F.pad(x, (rows_per_frame * c.hop_samples - c.window_samples, 0))
        x = x.reshape(x.shape[0], -1, c.hop_samples)
        count = x.shape[1] - rows_per_frame + 1
        shifted = [x[:, i : i + count] for i in range(rows_per_frame)]
        return torch.cat(shifted, dim=2)[..., -c.window_samples :]
