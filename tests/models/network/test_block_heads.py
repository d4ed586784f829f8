"""Heads on block sums: what they are given of a block and of those before it."""

from __future__ import annotations

import pytest
import torch

from models.network.block_heads import DECAY, HEADS, BlockHeads, running_sums, statistics


def test_statistics_are_those_of_the_weighted_frames_of_a_block() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(2, 5, 10, 7, generator=generator)  # (B, blocks, frames, C)
    w = torch.rand(y.shape, generator=generator) + 0.1
    sums = torch.stack([part.sum(dim=2) for part in (w, w * y, w * y * y)], dim=2)
    mean = (w * y).sum(dim=2) / w.sum(dim=2)
    variance = (w * (y - mean.unsqueeze(2)).square()).sum(dim=2) / w.sum(dim=2)
    expected = torch.cat([mean, variance.sqrt(), w.sum(dim=2).log()], dim=-1)
    torch.testing.assert_close(statistics(sums), expected, rtol=1e-3, atol=1e-4)


def test_running_sums_forget_what_is_long_ago() -> None:
    sums = torch.rand(2, 4, 3, 5)
    expected = [sums[:, 0]]
    for block in sums[:, 1:].unbind(dim=1):
        expected.append(DECAY * expected[-1] + block)
    torch.testing.assert_close(running_sums(sums), torch.stack(expected, dim=1))


@pytest.mark.parametrize("cut", [1, 4, 8])
def test_heads_of_a_stream_go_on_from_its_blocks_before(cut: int) -> None:
    torch.manual_seed(0)
    heads, sums = BlockHeads(5), torch.rand(2, 9, 3, 5)
    whole, end = heads(sums)
    first, before = heads(sums[:, :cut])
    rest, after = heads(sums[:, cut:], before)
    torch.testing.assert_close(torch.cat([first, rest], dim=1), whole)
    torch.testing.assert_close(after, end)


def test_a_block_without_sound_has_finite_answers() -> None:
    found, _ = BlockHeads(7)(torch.zeros(1, 3, 3, 7))
    assert found.shape == (1, 3, len(HEADS))
    assert torch.isfinite(found).all()
