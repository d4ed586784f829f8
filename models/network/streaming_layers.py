"""Layers of the streaming NeXt-TDNN over whole sequences, ``(B, T, C)`` in and out.

``T`` is a multiple of the block. ``mask (B, T, 1)`` is 1 for frames of sound and 0 for those
before a stream's beginning and after its end; ``decays`` is :func:`decay_matrix` of the blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK_FRAMES = 10  # of 10 ms: frames of features; a layer has fewer where frames are joined
LAYER_NORM_EPS = 1e-6
GRN_EPS = 1e-6
VARIANCE_FLOOR = 1e-5
WEIGHT_FLOOR = 1e-6  # of a span without a frame in it
ENERGY_FLOOR = 1e-8  # under the root of GRN's sum of squares, whose slope at zero is infinite
FFN_EXPANSION = 4


def decay_matrix(blocks: int, decay: float) -> Tensor:
    """``(blocks, blocks)``, lower triangular: times block sums it gives their running sums."""
    index = torch.arange(blocks)
    age = (index[:, None] - index[None, :]).float()
    return torch.where(age >= 0, decay ** age.clamp_min(0), torch.zeros(()))


def delayed(x: Tensor, frames: int) -> Tensor:
    """``(B, T, C)`` as it was ``frames`` ago, zeros before its beginning."""
    return x if frames == 0 else F.pad(x, (0, 0, frames, 0))[:, : x.shape[1]]


def blocks_of(x: Tensor, blocks: int) -> Tensor:
    """``(B, T, C)`` as ``(B, blocks, T / blocks, C)``."""
    return x.reshape(x.shape[0], blocks, -1, x.shape[2])


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
        frames = x.shape[1] // decays.shape[0]
        reach = decays.repeat_interleave(frames, dim=1) * mask.float().transpose(1, 2)
        arguments = (x, self.gamma, self.beta, reach.to(x.dtype))
        # torch gives `Function.apply` no types.
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
        return torch.addcmul(beta.to(x.dtype), blocks_of(x, reach.shape[1]), scale).view(x.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, gamma, reach, norm, mean, scale = ctx.saved_tensors
        blocks = reach.shape[1]
        by_block = blocks_of(gradient, blocks)
        # With a sum of products over ten frames the narrow sums stay exact in float32.
        of_scale = (by_block * blocks_of(x, blocks)).sum(dim=2, dtype=torch.float32)
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
        if torch.compiler.is_compiling():
            arguments = (x, self.weight, self.bias)
            # torch gives `Function.apply` no types.
            return cast(Tensor, _Depthwise.apply(*arguments))  # type: ignore[no-untyped-call]
        return _depthwise(x, self.weight, self.bias)


def _depthwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    y = F.conv2d(x.unsqueeze(2), weight.unsqueeze(2), bias, groups=weight.shape[0])
    return y.squeeze(2)


class _Depthwise(torch.autograd.Function):
    """The convolution of :class:`DelayedDepthwise` where a compiler fuses its gradient.

    oneDNN takes some thirty times as long for the gradient of the weights, tap by tap sums of
    products, as for the convolution: a quarter of a training step on a CPU. Fused, it takes
    twice as long as the convolution. Without a compiler it would be slower than oneDNN's.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        kind = x.dtype
        ctx.save_for_backward(x, weight)
        return _depthwise(x, weight.to(kind), bias.to(kind))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        taps, count = weight.shape[2], gradient.shape[2]
        around = F.pad(gradient.transpose(1, 2), (0, 0, taps - 1, taps - 1)).transpose(1, 2)
        of_x = _depthwise(around, weight.flip(2).to(gradient.dtype), None)
        products = (
            (x[:, :, tap : tap + count].float() * gradient.float()).sum(dim=(0, 2))
            for tap in range(taps)
        )
        of_bias = gradient.sum(dim=(0, 2), dtype=torch.float32)
        return of_x, torch.stack([*products], dim=1).unsqueeze(1), of_bias


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
