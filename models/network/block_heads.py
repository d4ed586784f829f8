"""What the streaming network says of each block besides who speaks: heads on its block sums.

The heads read what the pooling reads, so they are as late as the sums and cost the graph one
small matrix product. A block alone tells little of noise and rooms: beside its own sums they
see running ones, which forget within a second. They are trained on a network that stays as it
is (`models.training.heads`); a network may have none.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.network.streaming_layers import VARIANCE_FLOOR, WEIGHT_FLOOR

HEADS = ("overlap_logit", "snr_db", "c50_db")
HIDDEN = 64
MEMORY_BLOCKS = 10  # in which the running sums fade to 1/e
DECAY = math.exp(-1 / MEMORY_BLOCKS)


class BlockHeads(nn.Module):
    """Block sums ``(B, blocks, 3, pooled)`` to one number for each of :data:`HEADS`."""

    def __init__(self, pooled_channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(6 * pooled_channels, HIDDEN)
        self.out = nn.Linear(HIDDEN, len(HEADS))

    def forward(self, sums: Tensor, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Heads ``(B, blocks, 3)``, and the running sums ``(B, 1, 3 pooled)`` at the end.

        ``before`` are those at the end of the blocks before; none at a stream's beginning.
        """
        running = running_sums(sums, before)
        return self.of_features(head_features(sums, running)), running[:, -1:].flatten(2)

    def of_features(self, features: Tensor) -> Tensor:
        """Heads ``(..., 3)`` of :func:`head_features`."""
        found: Tensor = self.out(F.gelu(self.hidden(features)))
        return found


def running_sums(sums: Tensor, before: Tensor | None = None) -> Tensor:
    """Exponentially forgetting sums at each block, of the shape of ``sums (B, blocks, 3, C)``."""
    index = torch.arange(sums.shape[1], device=sums.device).float()
    age = index[:, None] - index[None, :]
    kept = torch.where(age >= 0, DECAY ** age.clamp_min(0), torch.zeros(()))
    total = kept @ sums.flatten(2)
    if before is not None:
        total = total + (DECAY ** (index + 1))[:, None] * before
    return total.view(sums.shape)


def head_features(sums: Tensor, running: Tensor) -> Tensor:
    """Statistics of blocks and of what led up to them: ``(B, blocks, 6 C)``."""
    return torch.cat([statistics(sums), statistics(running)], dim=-1)


def statistics(sums: Tensor) -> Tensor:
    """Mean, deviation and log weight of each channel: ``(..., 3, C)`` to ``(..., 3 C)``."""
    w, weighted, squared = sums.unbind(dim=-2)
    w = w.clamp_min(WEIGHT_FLOOR)
    mean = weighted / w
    deviation = (squared / w - mean.square()).clamp_min(VARIANCE_FLOOR).sqrt()
    return torch.cat([mean, deviation, w.log()], dim=-1)
