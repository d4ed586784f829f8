"""Streaming NeXt-TDNN: every frame is computed once, and any span of blocks can be pooled.

NeXt-TDNN (Heo et al., ICASSP 2024, arXiv 2312.08603) sees a whole window at once: its
convolutions look as far ahead as back, and GRN, the subtracted mean and the attention of its
pooling are taken over the window. Here each of them becomes something that a stream can keep:

- a convolution looks ahead by some frames at most. It is written in delayed form: a layer that
  looks ahead by 8 frames puts out frame ``t - 8`` when frame ``t`` comes in;
- GRN and the feature mean run over blocks of 0.1 s, with weights that fall off
  exponentially into the past, so that what a first speaker left in them fades;
- the weights of the pooling depend on a frame alone, so that pooling is a sum: of ``w``,
  ``w y`` and ``w y^2`` over each block. A span of speech is a sum of blocks.

This module computes whole sequences, as training does; ``models.network.streaming_inference``
computes the same in chunks. Features come every 10 ms, ``(B, T, n_mels)`` with ``T`` a multiple
of 10; the stem joins ``stride`` of them into a frame, so that activations are
``(B, T / stride, C)``: voices are told by what is slower than a frame of features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.network.block_heads import BlockHeads
from models.network.next_tdnn import check_shape
from models.network.streaming_layers import (
    BLOCK_FRAMES,
    LAYER_NORM_EPS,
    VARIANCE_FLOOR,
    WEIGHT_FLOOR,
    StreamingBlock,
    blocks_of,
    decay_matrix,
    delayed,
)

BLOCK_S = 0.1
STEM_FRAMES = 4
LOGIT_BOUND = 8.0  # the weight of a frame lies between exp(-8) and exp(8)
POOLING_BOTTLENECK = 8


@dataclass(frozen=True, slots=True)
class StreamingArchitecture:
    """Shape of one streaming NeXt-TDNN; ``delay_frames`` is its look-ahead as a whole.

    Kernels and look-ahead are in frames after the stem, of ``10 * stride`` ms.
    """

    channels: int = 128
    depths: tuple[int, int, int] = (2, 2, 2)
    kernel_sizes: tuple[int, ...] = (7, 65)
    embedding_size: int = 192
    n_mels: int = 80
    ahead_frames: int = 8  # of a block of layers
    backward: int = 0  # blocks of layers of a stage, its last, that do not look ahead
    delay_frames: int = 50
    stride: int = 1  # frames of features that the stem joins into one
    memory_s: float = 3.0  # in which the running statistics fade to 1/e
    prior_s: float = 0.3  # of speech that the mean of the training features counts for

    def __post_init__(self) -> None:
        check_shape(self.channels, self.depths, self.kernel_sizes)
        if not 0 <= self.backward <= min(self.depths):
            raise ValueError(f"backward must be from 0 to {min(self.depths)}, got {self.backward}")
        if self.stride < 1 or BLOCK_FRAMES % self.stride:
            raise ValueError(f"stride must divide {BLOCK_FRAMES}, got {self.stride}")
        if self.delay_frames % self.block_frames or self.stage_delay_frames > self.delay_frames:
            layers = sum(self.depths) - len(self.depths) * self.backward
            raise ValueError(
                f"a look-ahead of {self.ahead_frames} frames in each of {layers} layers"
                f" does not fit into {self.delay_frames}, which must be a multiple of"
                f" {self.block_frames}"
            )
        if self.memory_s <= 0 or self.prior_s <= 0 or self.ahead_frames < 0:
            raise ValueError("memory_s and prior_s must be positive, ahead_frames not negative")

    @property
    def block_frames(self) -> int:
        """Frames of a layer in a block."""
        return BLOCK_FRAMES // self.stride

    @property
    def stage_delay_frames(self) -> int:
        """Look-ahead of the three stages together."""
        return sum(map(sum, self.looks))

    @property
    def looks(self) -> list[list[int]]:
        """Frames that each block of layers of each stage looks ahead."""
        return [
            [self.ahead_frames if n < depth - self.backward else 0 for n in range(depth)]
            for depth in self.depths
        ]

    @property
    def lags(self) -> list[int]:
        """Frames by which what each stage puts out is earlier than what the last does."""
        return [sum(map(sum, self.looks[n + 1 :])) for n in range(len(self.depths))]

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
        return self.delay_frames // self.block_frames

    @property
    def delay_feature_frames(self) -> int:
        """Frames of features after a stream's end that stand for its look-ahead."""
        return self.delay_blocks * BLOCK_FRAMES

    @property
    def prior_frames(self) -> float:
        """Frames that the mean of the training features counts for."""
        return self.prior_s / BLOCK_S * BLOCK_FRAMES


class StreamingNeXtTDNN(nn.Module):
    """Log-mel of :class:`models.network.frontend.CausalLogMel` to block sums, sums to embeddings.

    Embeddings are not length-normalised. ``heads``, if there are any, take block sums.
    """

    prior_mean: Tensor
    heads: BlockHeads | None

    def __init__(self, arch: StreamingArchitecture) -> None:
        super().__init__()
        self.arch = arch
        c, pooled = arch.channels, arch.pooled_channels
        # Mean of the features of training speech: what the running mean starts from.
        self.register_buffer("prior_mean", torch.zeros(arch.n_mels))
        self.stem = nn.Linear(STEM_FRAMES * arch.n_mels, c)
        self.stem_norm = nn.LayerNorm(c, eps=LAYER_NORM_EPS)
        self.stages = nn.ModuleList(
            nn.ModuleList(StreamingBlock(c, arch.kernel_sizes, ahead) for ahead in stage)
            for stage in arch.looks
        )
        self.mfa = nn.Linear(pooled, pooled)
        self.mfa_norm = nn.LayerNorm(pooled, eps=LAYER_NORM_EPS)
        self.squeeze = nn.Linear(pooled, pooled // POOLING_BOTTLENECK)
        self.attend = nn.Linear(pooled // POOLING_BOTTLENECK, pooled)
        self.bn2 = nn.BatchNorm1d(2 * pooled)
        self.fc = nn.Linear(2 * pooled, arch.embedding_size)
        self.bn3 = nn.BatchNorm1d(arch.embedding_size)
        self.heads = None
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def normalised(self, features: Tensor, mask: Tensor, decays: Tensor) -> Tensor:
        """Log-mel ``(B, T, n_mels)`` minus its running mean, zero where the mask is."""
        arch, count = self.arch, len(decays)
        blocks, real = blocks_of(features, count), blocks_of(mask, count)
        total = decays @ (blocks * real).sum(dim=2)
        number = decays @ real.sum(dim=2)
        prior = decays[:, :1] * arch.decay * arch.prior_frames  # what is left of it by a block
        mean = (total + prior * self.prior_mean) / (number + prior)
        return (blocks - mean.unsqueeze(2)).view(features.shape) * mask

    def frames(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs and positive weights ``(B, T / stride, pooled)``, ``delay_frames`` late.

        ``features`` are ``(B, T, n_mels)``; ``mask (B, T, 1)`` is 1 for frames of sound and 0
        for those after its end, which stand for the look-ahead that there is none for.
        """
        arch, kind = self.arch, features.device.type
        decays = decay_matrix(features.shape[1] // BLOCK_FRAMES, arch.decay).to(features.device)
        with torch.autocast(kind, enabled=False):
            x = self.normalised(features.float(), mask.float(), decays)
        if torch.is_autocast_enabled(kind):
            mask = mask.to(torch.get_autocast_dtype(kind))
        last = slice(arch.stride - 1, None, arch.stride)  # of the features that a frame joins
        recent = [delayed(x, age)[:, last] for age in range(STEM_FRAMES - 1, -1, -1)]
        x, mask = self.stem_norm(self.stem(torch.cat(recent, dim=-1))), mask[:, last]
        outputs = []
        for stage in self.stages:
            for block in cast(nn.ModuleList, stage):
                x, mask = block(x, mask, decays)
            outputs.append(x)
        y = torch.cat([delayed(o, lag) for o, lag in zip(outputs, arch.lags, strict=True)], dim=-1)
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
        count = features.shape[1] // BLOCK_FRAMES
        parts = [blocks_of(part, count).sum(dim=2) for part in (w, weighted, weighted * y)]
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
