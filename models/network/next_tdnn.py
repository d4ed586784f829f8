"""NeXt-TDNN and NeXt-TDNN-light: the speaker encoder without its front end.

Architecture: Heo et al., "NeXt-TDNN: Modernizing Multi-Scale Temporal
Convolution Backbone for Speaker Verification", ICASSP 2024 (arXiv 2312.08603).
Parameter names follow the layout of the checkpoints its authors published, so
that one can be loaded with ``load_state_dict``; the code is ours.

Inside the network activations are ``(B, T, C)``: every operation but the
depthwise convolutions acts on channels, and a contiguous channel axis is what
both matrix units and layer norm want.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYER_NORM_EPS = 1e-6
GRN_EPS = 1e-6
VARIANCE_FLOOR = 1e-5
FFN_EXPANSION = 4
POOLING_BOTTLENECK = 8


@dataclass(frozen=True, slots=True)
class Architecture:
    """Shape of one NeXt-TDNN.

    ``kernel_sizes`` with several entries gives the multi-scale TS-ConvNeXt
    block, with one entry the light block of a single depthwise convolution.
    """

    channels: int = 128
    depths: tuple[int, int, int] = (3, 3, 3)
    kernel_sizes: tuple[int, ...] = (7, 65)
    embedding_size: int = 192
    n_mels: int = 80
    light: bool = field(default=False)

    def __post_init__(self) -> None:
        check_shape(self.channels, self.depths, self.kernel_sizes)
        if self.light and len(self.kernel_sizes) != 1:
            raise ValueError("the light block has exactly one kernel size")


def check_shape(channels: int, depths: Sequence[int], kernel_sizes: Sequence[int]) -> None:
    """Raise ``ValueError`` for stages and kernels that no NeXt-TDNN can have."""
    if any(k < 1 or k % 2 == 0 for k in kernel_sizes) or not kernel_sizes:
        raise ValueError(f"kernel sizes must be odd and positive, got {kernel_sizes}")
    if channels % len(kernel_sizes):
        raise ValueError(f"{channels} channels do not divide between {len(kernel_sizes)} kernels")
    if len(depths) != 3 or min(depths) < 1:
        raise ValueError(f"three stages of at least one block are needed, got {depths}")


class GRN(nn.Module):
    """Global response normalisation over time (ConvNeXt V2, arXiv 2301.00808).

    The L2 norm of a channel over time, relative to the mean of that norm over
    channels, scales the channel: ``(B, T, C) -> (B, T, C)``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, channels))
        self.beta = nn.Parameter(torch.zeros(1, 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        # Sum of squares over time in float32: in bf16 it would lose the small channels.
        norm = x.float().square().sum(dim=1, keepdim=True).clamp_min(1e-12).sqrt()
        relative = norm / (norm.mean(dim=-1, keepdim=True) + GRN_EPS)
        scale = (1.0 + self.gamma * relative).to(x.dtype)
        return x * scale + self.beta.to(x.dtype)


class FeedForward(nn.Module):
    """Second half of a TS-ConvNeXt block: norm, expand, GELU, GRN, contract, residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = FFN_EXPANSION * channels
        self.norm = nn.LayerNorm(channels, eps=LAYER_NORM_EPS)
        self.pwconv1 = nn.Linear(channels, hidden)
        self.grn = GRN(hidden)
        self.pwconv2 = nn.Linear(hidden, channels)

    def feed_forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pwconv2(self.grn(F.gelu(self.pwconv1(self.norm(x)))))
        return y


class DepthwiseConv(nn.Conv1d):
    """Depthwise convolution over time, ``(B, T, C) -> (B, T, C)``, same length.

    Run as a 2-D convolution on the channels-last view of its input: without a copy,
    and on CPU some twenty times faster forward than ``conv1d`` with 65 taps
    (measured, torch 2.11, oneDNN).
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        if self.groups == 16 or self.groups % 16:
            # The 2-D one does not come back within a minute with 8 channels and 65 taps, and
            # never with 16 channels and 15 taps or more in bf16 (oneDNN, on a CPU with AMX).
            return super().forward(x.transpose(1, 2)).transpose(1, 2)
        y = F.conv2d(
            x.transpose(1, 2).unsqueeze(2),
            self.weight.unsqueeze(2),
            self.bias,
            padding=(0, self.kernel_size[0] // 2),
            groups=self.groups,
        )
        return y.squeeze(2).transpose(1, 2)


class TSConvNeXt(FeedForward):
    """Two-step block: multi-scale temporal convolution, then a position-wise feed-forward."""

    def __init__(self, channels: int, kernel_sizes: Sequence[int]) -> None:
        super().__init__(channels)
        width = channels // len(kernel_sizes)
        self.projection_linear = nn.Conv1d(channels, channels, 1)
        self.mscconv = nn.ModuleList(DepthwiseConv(width, k) for k in kernel_sizes)
        self.pwconv_1stage = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        projection = self.projection_linear
        y = F.linear(x, projection.weight.squeeze(-1), projection.bias)
        parts = y.chunk(len(self.mscconv), dim=-1)
        y = torch.cat([conv(p) for conv, p in zip(self.mscconv, parts, strict=True)], dim=-1)
        x = x + self.pwconv_1stage(F.gelu(y))
        return x + self.feed_forward(x)


class TSConvNeXtLight(FeedForward):
    """One depthwise convolution, then the feed-forward, each under its own residual."""

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__(channels)
        self.dwconv = DepthwiseConv(channels, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dwconv(x)
        return x + self.feed_forward(x)


class AttentiveStatisticsPooling(nn.Module):
    """Attention-weighted mean and standard deviation over time, then the embedding.

    Okabe et al., Interspeech 2018 (arXiv 1803.10963), in the form of the published
    NeXt-TDNN: ``conv_2(tanh(bn1(conv_1(x))))`` gives the weights of each channel.
    """

    def __init__(self, channels: int, embedding_size: int) -> None:
        super().__init__()
        bottleneck = channels // POOLING_BOTTLENECK
        self.conv_1 = nn.Conv1d(channels, bottleneck, 1)
        self.conv_2 = nn.Conv1d(bottleneck, channels, 1)
        self.bn1 = nn.BatchNorm1d(bottleneck)
        self.bn2 = nn.BatchNorm1d(2 * channels)
        self.fc = nn.Linear(2 * channels, embedding_size)
        self.bn3 = nn.BatchNorm1d(embedding_size)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, T, C) -> (B, embedding_size)``."""
        h = F.linear(x, self.conv_1.weight.squeeze(-1), self.conv_1.bias)
        h = torch.tanh(self.bn1(h.transpose(1, 2)).transpose(1, 2))
        h = F.linear(h, self.conv_2.weight.squeeze(-1), self.conv_2.bias)
        # The variance is a difference of two sums over time: float32 or it cancels.
        x = x.float()
        weights = h.float().softmax(dim=1)
        mean = (weights * x).sum(dim=1)
        variance = (weights * x.square()).sum(dim=1) - mean.square()
        std = variance.clamp_min(VARIANCE_FLOOR).sqrt()
        embedding: Tensor = self.bn3(self.fc(self.bn2(torch.cat([mean, std], dim=1))))
        return embedding


class Backbone(nn.Module):
    """Stem, three stages and multi-layer feature aggregation (MFA)."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        channels = arch.channels
        # The four-frame stem is unpadded: T mel frames become T - 3.
        conv, norm = nn.Conv1d(arch.n_mels, channels, 4), nn.LayerNorm(channels, eps=LAYER_NORM_EPS)
        self.stem = nn.Sequential(nn.Sequential(conv, norm))
        self.stages = nn.ModuleList(
            nn.Sequential(*(_block(arch) for _ in range(depth))) for depth in arch.depths
        )
        aggregated = channels * len(arch.depths)
        self.MFA = nn.Sequential(
            nn.Conv1d(aggregated, aggregated, 1), nn.LayerNorm(aggregated, eps=LAYER_NORM_EPS)
        )
        self.apply(_initialise)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, n_mels, T) -> (B, T - 3, 3 C)``."""
        stem = self.stem[0]
        assert isinstance(stem, nn.Sequential)
        x: Tensor = stem[1](stem[0](features).transpose(1, 2))
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        conv = self.MFA[0]
        assert isinstance(conv, nn.Conv1d)
        x = F.linear(torch.cat(outputs, dim=-1), conv.weight.squeeze(-1), conv.bias)
        aggregated: Tensor = self.MFA[1](x)
        return aggregated


def _block(arch: Architecture) -> nn.Module:
    if arch.light:
        return TSConvNeXtLight(arch.channels, arch.kernel_sizes[0])
    return TSConvNeXt(arch.channels, arch.kernel_sizes)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv1d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class NeXtTDNN(nn.Module):
    """Speaker embedding of log-mel features: ``(B, n_mels, T) -> (B, embedding_size)``.

    Needs at least ten frames; the embedding is not length-normalised.
    """

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.arch = arch
        self.model = Backbone(arch)
        self.aggregate = AttentiveStatisticsPooling(
            arch.channels * len(arch.depths), arch.embedding_size
        )

    def forward(self, features: Tensor) -> Tensor:
        embedding: Tensor = self.aggregate(self.model(features))
        return embedding
