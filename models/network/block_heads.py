"""What the streaming network says of each block besides who speaks: heads on its block sums.

The heads read what the pooling reads, so they cost the graph a small matrix product and no
state of their own, and they are as late as the sums. They are trained on a network that stays
as it is (`models.training.heads`); a network may have none.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.network.streaming_layers import VARIANCE_FLOOR, WEIGHT_FLOOR

HEADS = ("overlap_logit", "snr_db", "c50_db")
HIDDEN = 64


class BlockHeads(nn.Module):
    """Block sums ``(..., 3, pooled)`` to one number for each of :data:`HEADS`, ``(..., 3)``."""

    def __init__(self, pooled_channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(3 * pooled_channels, HIDDEN)
        self.out = nn.Linear(HIDDEN, len(HEADS))

    def forward(self, sums: Tensor) -> Tensor:
        found: Tensor = self.out(F.gelu(self.hidden(block_features(sums))))
        return found


def block_features(sums: Tensor) -> Tensor:
    """Mean, deviation and log weight of a block's channels: ``(..., 3, C)`` to ``(..., 3 C)``."""
    w, weighted, squared = sums.unbind(dim=-2)
    w = w.clamp_min(WEIGHT_FLOOR)
    mean = weighted / w
    deviation = (squared / w - mean.square()).clamp_min(VARIANCE_FLOOR).sqrt()
    return torch.cat([mean, deviation, w.log()], dim=-1)
