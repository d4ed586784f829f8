"""Heads on block sums: what they are given of a block."""

from __future__ import annotations

import torch

from models.network.block_heads import HEADS, BlockHeads, block_features


def test_features_are_the_weighted_statistics_of_the_frames_of_a_block() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(2, 5, 10, 7, generator=generator)  # (B, blocks, frames, C)
    w = torch.rand(y.shape, generator=generator) + 0.1
    sums = torch.stack([part.sum(dim=2) for part in (w, w * y, w * y * y)], dim=2)
    mean = (w * y).sum(dim=2) / w.sum(dim=2)
    variance = (w * (y - mean.unsqueeze(2)).square()).sum(dim=2) / w.sum(dim=2)
    expected = torch.cat([mean, variance.sqrt(), w.sum(dim=2).log()], dim=-1)
    torch.testing.assert_close(block_features(sums), expected, rtol=1e-3, atol=1e-4)


def test_a_block_without_sound_has_finite_answers() -> None:
    found = BlockHeads(7)(torch.zeros(1, 3, 3, 7))
    assert found.shape == (1, 3, len(HEADS))
    assert torch.isfinite(found).all()
