"""Streaming NeXt-TDNN: every frame is computed once, and any span of blocks can be pooled.

NeXt-TDNN (Heo et al., ICASSP 2024, arXiv 2312.08603) sees a whole window at once: its
convolutions look as far ahead as back, and GRN, the subtracted mean and the attention of its
pooling are taken over the window. Here each of them becomes something that a stream can keep:

- a convolution looks ahead by some frames at most. It is written in delayed form: a layer that
  looks ahead by 8 frames puts out frame ``t - 8`` when frame ``t`` comes in;
- GRN and the feature mean run over blocks of 10 frames, with weights that fall off
  exponentially into the past, so that what a first speaker left in them fades;
- the weights of the pooling depend on a frame alone, so that pooling is a sum: of ``w``,
  ``w y`` and ``w y^2`` over each block. A span of speech is a sum of blocks.

This module computes whole sequences, as training does; ``models.network.streaming_inference``
computes the same in chunks. Activations are ``(B, T, C)``, ``T`` a multiple of the block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK_FRAMES = 10
BLOCK_S = 0.1
STEM_FRAMES = 4
LAYER_NORM_EPS = 1e-6
GRN_EPS = 1e-6
ENERGY_FLOOR = 1e-8  # under the root of GRN's sum of squares, whose slope at zero is infinite
VARIANCE_FLOOR = 1e-5
WEIGHT_FLOOR = 1e-6  # of a span without a frame in it
LOGIT_BOUND = 8.0  # the weight of a frame lies between exp(-8) and exp(8)
FFN_EXPANSION = 4
POOLING_BOTTLENECK = 8


@dataclass(frozen=True, slots=True)
class StreamingArchitecture:
    """Shape of one streaming NeXt-TDNN; ``delay_frames`` is its look-ahead as a whole."""

    channels: int = 128
    depths: tuple[int, int, int] = (2, 2, 2)
    kernel_sizes: tuple[int, ...] = (7, 65)
    embedding_size: int = 192
    n_mels: int = 80
    ahead_frames: int = 8  # of a block of layers
    delay_frames: int = 50
    memory_s: float = 3.0  # in which the running statistics fade to 1/e
    prior_s: float = 0.3  # of speech that the mean of the training features counts for

    def __post_init__(self) -> None:
        if any(k < 1 or k % 2 == 0 for k in self.kernel_sizes) or not self.kernel_sizes:
            raise ValueError(f"kernel sizes must be odd and positive, got {self.kernel_sizes}")
        if self.channels % len(self.kernel_sizes):
            raise ValueError(
                f"{self.channels} channels do not divide between {len(self.kernel_sizes)} kernels"
            )
        if len(self.depths) != 3 or min(self.depths) < 1:
            raise ValueError(f"three stages of at least one block are needed, got {self.depths}")
        if self.delay_frames % BLOCK_FRAMES or self.stage_delay_frames > self.delay_frames:
            raise ValueError(
                f"a look-ahead of {self.ahead_frames} frames in each of {sum(self.depths)} layers"
                f" does not fit into {self.delay_frames}, which must be a multiple of"
                f" {BLOCK_FRAMES}"
            )
        if self.memory_s <= 0 or self.prior_s <= 0 or self.ahead_frames < 0:
            raise ValueError("memory_s and prior_s must be positive, ahead_frames not negative")

    @property
    def stage_delay_frames(self) -> int:
        """Look-ahead of the three stages together."""
        return self.ahead_frames * sum(self.depths)

    @property
    def decay(self) -> float:
        """What the running statistics keep of themselves from block to block."""
        return math.exp(-BLOCK_S / self.memory_s)

    @property
    def pooled_channels(self) -> int:
        """Channels of the block sums."""
        return self.channels * len(self.depths)

    @property
    def delay_blocks(self) -> int:
        """Blocks by which the sums come after the sound that they are of."""
        return self.delay_frames // BLOCK_FRAMES

    @property
    def prior_frames(self) -> float:
        """Frames that the mean of the training features counts for."""
        return self.prior_s / BLOCK_S * BLOCK_FRAMES


def decay_matrix(blocks: int, decay: float) -> Tensor:
    """``(blocks, blocks)``, lower triangular: times block sums it gives their running sums."""
    index = torch.arange(blocks)
    age = (index[:, None] - index[None, :]).float()
    return torch.where(age >= 0, decay ** age.clamp_min(0), torch.zeros(()))


def delayed(x: Tensor, frames: int) -> Tensor:
    """``(B, T, C)`` as it was ``frames`` ago, zeros before its beginning."""
    return x if frames == 0 else F.pad(x, (0, 0, frames, 0))[:, : x.shape[1]]


def blocks_of(x: Tensor) -> Tensor:
    """``(B, T, C)`` as ``(B, T / 10, 10, C)``."""
    return x.reshape(x.shape[0], -1, BLOCK_FRAMES, x.shape[2])


class RunningGRN(nn.Module):
    """Global response normalisation (ConvNeXt V2, arXiv 2301.00808) over the past.

    The L2 norm of a channel over the recent past, relative to the mean of that norm over
    channels, scales the channel: ``(B, T, C) -> (B, T, C)``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, mask: Tensor, decays: Tensor) -> Tensor:
        reach = decays.repeat_interleave(BLOCK_FRAMES, dim=1) * mask.float().transpose(1, 2)
        arguments = (x, self.gamma, self.beta, reach.to(x.dtype))
        return cast(Tensor, _Response.apply(*arguments))  # type: ignore[no-untyped-call]


class _Response(torch.autograd.Function):
    """The arithmetic of :class:`RunningGRN`, its gradient written out.

    ``reach (B, blocks, T)`` is what each frame counts for in the running sum of each block.
    Autograd passes over the widest activations of the network some fifteen times for what
    takes seven: they are what a training step on a CPU spends its time with.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, reach: Tensor) -> Tensor:
        norm = (torch.bmm(reach, x * x).float() + ENERGY_FLOOR).sqrt()
        mean = norm.mean(dim=-1, keepdim=True) + GRN_EPS
        scale = (1.0 + gamma * (norm / mean)).to(x.dtype).unsqueeze(2)
        ctx.save_for_backward(x, gamma, reach, norm, mean, scale)
        return torch.addcmul(beta.to(x.dtype), blocks_of(x), scale).view(x.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, gamma, reach, norm, mean, scale = ctx.saved_tensors
        by_block = blocks_of(gradient)
        # With a sum of products over ten frames the narrow sums stay exact in float32.
        of_scale = (by_block * blocks_of(x)).sum(dim=2, dtype=torch.float32)
        of_gamma = (of_scale * norm / mean).sum(dim=(0, 1))
        of_beta = gradient.sum(dim=(0, 1), dtype=torch.float32)
        of_relative = of_scale * gamma
        of_mean = -(of_relative * norm).sum(dim=-1, keepdim=True) / mean.square()
        of_norm = of_relative / mean + of_mean / norm.shape[-1]
        # The root's slope 1 / (2 norm) times the square's 2 x.
        of_square = torch.bmm(reach.transpose(1, 2), (of_norm / norm).to(x.dtype))
        of_x = (by_block * scale).view(x.shape)
        return of_x.addcmul_(x, of_square), of_gamma, of_beta, None


class DelayedDepthwise(nn.Module):
    """Depthwise convolution over time, ``(B, T, C) -> (B, T, C)``.

    Its middle tap would look ``kernel_size // 2`` frames ahead; it looks ``ahead`` frames
    ahead at most, and puts out what belongs to the frame ``ahead`` ago whatever its size.
    """

    def __init__(self, channels: int, kernel_size: int, ahead: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel_size))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.trunc_normal_(self.weight, std=0.02)
        self.skip = ahead - min(ahead, kernel_size // 2)  # newest frames that are not looked at

    @property
    def history(self) -> int:
        """Frames before a frame that are needed for what is put out with it."""
        return self.weight.shape[2] - 1 + self.skip

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, self.history, 0))[:, : x.shape[1] + self.history - self.skip]
        return self.valid(x.transpose(1, 2)).transpose(1, 2)

    def valid(self, x: Tensor) -> Tensor:
        """``(B, C, T + kernel_size - 1)`` to ``(B, C, T)``."""
        groups = self.weight.shape[0]
        if groups == 16 or groups % 16:
            # The 2-D convolution does not come back with such channels and long kernels in
            # oneDNN; models.network.next_tdnn.DepthwiseConv says with which.
            return F.conv1d(x, self.weight, self.bias, groups=groups)
        y = F.conv2d(x.unsqueeze(2), self.weight.unsqueeze(2), self.bias, groups=groups)
        return y.squeeze(2)


class StreamingBlock(nn.Module):
    """The two-step block of NeXt-TDNN, delayed by ``ahead`` frames."""

    def __init__(self, channels: int, kernel_sizes: Sequence[int], ahead: int) -> None:
        super().__init__()
        width, hidden = channels // len(kernel_sizes), FFN_EXPANSION * channels
        self.ahead = ahead
        self.project = nn.Linear(channels, channels)
        self.convs = nn.ModuleList(DelayedDepthwise(width, k, ahead) for k in kernel_sizes)
        self.mix = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels, eps=LAYER_NORM_EPS)
        self.expand = nn.Linear(channels, hidden)
        self.grn = RunningGRN(hidden)
        self.contract = nn.Linear(hidden, channels)

    def forward(self, x: Tensor, mask: Tensor, decays: Tensor) -> tuple[Tensor, Tensor]:
        """Activations and the mask of frames that are none, both as they come out: delayed."""
        parts = (self.project(x) * mask).chunk(len(self.convs), dim=-1)
        y = torch.cat([conv(p) for conv, p in zip(self.convs, parts, strict=True)], dim=-1)
        x = delayed(x, self.ahead) + self.mix(F.gelu(y))
        mask = delayed(mask, self.ahead)
        z = self.grn(F.gelu(self.expand(self.norm(x))), mask, decays)
        return x + self.contract(z), mask


class StreamingNeXtTDNN(nn.Module):
    """Log-mel of :class:`models.network.frontend.CausalLogMel` to block sums, sums to embeddings.

    Embeddings are not length-normalised.
    """

    prior_mean: Tensor

    def __init__(self, arch: StreamingArchitecture) -> None:
        super().__init__()
        self.arch = arch
        c, pooled = arch.channels, arch.pooled_channels
        # Mean of the features of training speech: what the running mean starts from.
        self.register_buffer("prior_mean", torch.zeros(arch.n_mels))
        self.stem = nn.Linear(STEM_FRAMES * arch.n_mels, c)
        self.stem_norm = nn.LayerNorm(c, eps=LAYER_NORM_EPS)
        self.stages = nn.ModuleList(
            nn.ModuleList(
                StreamingBlock(c, arch.kernel_sizes, arch.ahead_frames) for _ in range(depth)
            )
            for depth in arch.depths
        )
        self.mfa = nn.Linear(pooled, pooled)
        self.mfa_norm = nn.LayerNorm(pooled, eps=LAYER_NORM_EPS)
        self.squeeze = nn.Linear(pooled, pooled // POOLING_BOTTLENECK)
        self.attend = nn.Linear(pooled // POOLING_BOTTLENECK, pooled)
        self.bn2 = nn.BatchNorm1d(2 * pooled)
        self.fc = nn.Linear(2 * pooled, arch.embedding_size)
        self.bn3 = nn.BatchNorm1d(arch.embedding_size)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def normalised(self, features: Tensor, mask: Tensor, decays: Tensor) -> Tensor:
        """Log-mel ``(B, T, n_mels)`` minus its running mean, zero where the mask is."""
        arch, blocks, real = self.arch, blocks_of(features), blocks_of(mask)
        total = decays @ (blocks * real).sum(dim=2)
        count = decays @ real.sum(dim=2)
        prior = decays[:, :1] * arch.decay * arch.prior_frames  # what is left of it by a block
        mean = (total + prior * self.prior_mean) / (count + prior)
        return (blocks - mean.unsqueeze(2)).view(features.shape) * mask

    def frames(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs and positive pooling weights ``(B, T, pooled)``, ``delay_frames`` late.

        ``features`` are ``(B, T, n_mels)``; ``mask (B, T, 1)`` is 1 for frames of sound and 0
        for those after its end, which stand for the look-ahead that there is none for.
        """
        arch, kind = self.arch, features.device.type
        decays = decay_matrix(features.shape[1] // BLOCK_FRAMES, arch.decay).to(features.device)
        with torch.autocast(kind, enabled=False):
            x = self.normalised(features.float(), mask.float(), decays)
        if torch.is_autocast_enabled(kind):
            mask = mask.to(torch.get_autocast_dtype(kind))
        recent = [delayed(x, age) for age in range(STEM_FRAMES - 1, -1, -1)]
        x = self.stem_norm(self.stem(torch.cat(recent, dim=-1)))
        outputs = []
        for stage in self.stages:
            for block in cast(nn.ModuleList, stage):
                x, mask = block(x, mask, decays)
            outputs.append(x)
        lags = [arch.ahead_frames * sum(arch.depths[i + 1 :]) for i in range(len(arch.depths))]
        y = torch.cat([delayed(o, lag) for o, lag in zip(outputs, lags, strict=True)], dim=-1)
        rest = arch.delay_frames - arch.stage_delay_frames
        y = delayed(self.mfa_norm(self.mfa(y)), rest)
        logit = self.attend(torch.tanh(self.squeeze(y))).float().clamp(-LOGIT_BOUND, LOGIT_BOUND)
        return y.float(), logit.exp() * delayed(mask, rest).float()

    def block_sums(self, features: Tensor, mask: Tensor) -> Tensor:
        """Sums of ``w``, ``w y``, ``w y^2``: ``(B, T / 10, 3, pooled)``.

        Block ``b`` holds the sums of the sound of block ``b - delay_blocks``.
        """
        y, w = self.frames(features, mask)
        weighted = w * y
        parts = [blocks_of(part).sum(dim=2) for part in (w, weighted, weighted * y)]
        return torch.stack(parts, dim=2)

    def head(self, sums: Tensor) -> Tensor:
        """Sums over spans ``(N, 3, pooled)`` to embeddings ``(N, embedding_size)``."""
        w = sums[:, 0].clamp_min(WEIGHT_FLOOR)
        mean = sums[:, 1] / w
        variance = sums[:, 2] / w - mean.square()
        deviation = variance.clamp_min(VARIANCE_FLOOR).sqrt()
        embedding: Tensor = self.bn3(self.fc(self.bn2(torch.cat([mean, deviation], dim=-1))))
        return embedding

    def spans(self, sums: Tensor, sequence: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """Embeddings of spans, ``(N,)`` each: blocks of sound ``[start, end)`` of a sequence."""
        total = F.pad(sums.cumsum(dim=1), (0, 0, 0, 0, 1, 0))
        lag = self.arch.delay_blocks
        return self.head(total[sequence, end + lag] - total[sequence, start + lag])
