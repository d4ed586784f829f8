"""A run starts from a network of its own shape, or from a smaller one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.network.block_heads import BlockHeads
from models.network.streaming import StreamingArchitecture, StreamingNeXtTDNN
from models.training.config import TrainingError
from models.training.start import grown, start_network

SHAPE = StreamingArchitecture(16, (1, 2, 1), (3, 9), 24, ahead_frames=4, delay_frames=20)


@pytest.fixture(scope="module")
def network(tiny_streaming_network: Callable[..., StreamingNeXtTDNN]) -> StreamingNeXtTDNN:
    return tiny_streaming_network(SHAPE).eval()


def embedding(network: StreamingNeXtTDNN) -> Tensor:
    features = torch.randn(2, 200, 80, generator=torch.Generator().manual_seed(0))
    return network.head(network.block_sums(features, torch.ones(2, 200, 1)).sum(dim=1))


def test_a_wider_network_begins_by_computing_the_same(network: StreamingNeXtTDNN) -> None:
    wide = grown(network, replace(SHAPE, channels=32), seed=0).eval()
    with torch.no_grad():
        torch.testing.assert_close(embedding(wide), embedding(network), rtol=1e-4, atol=1e-4)


DEEPER = replace(SHAPE, depths=(2, 3, 2), backward=1)


@pytest.mark.parametrize(
    "arch", [DEEPER, replace(DEEPER, channels=32), replace(SHAPE, depths=(3, 4, 3), backward=2)]
)
def test_a_deeper_network_begins_by_computing_the_same(
    network: StreamingNeXtTDNN, arch: StreamingArchitecture
) -> None:
    with torch.no_grad():
        found = embedding(grown(network, arch, seed=0).eval())
        torch.testing.assert_close(found, embedding(network), rtol=1e-4, atol=1e-4)


def test_a_deeper_network_can_become_deeper_still(network: StreamingNeXtTDNN) -> None:
    deep = grown(network, DEEPER, seed=0).eval()
    deep.stages[1][2].mix.bias.data.fill_(1.0)  # as if it had learned something
    deeper = grown(deep, replace(SHAPE, depths=(3, 4, 3), backward=2), seed=0).eval()
    with torch.no_grad():
        torch.testing.assert_close(embedding(deeper), embedding(deep), rtol=1e-4, atol=1e-4)


def test_what_added_blocks_begin_with_is_of_the_seed(network: StreamingNeXtTDNN) -> None:
    one, same, other = (grown(network, DEEPER, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    name = "stages.0.1.expand.weight"
    assert not torch.equal(one[name], other[name])


def test_a_deeper_network_may_join_frames(network: StreamingNeXtTDNN) -> None:
    arch = replace(SHAPE, kernel_sizes=(3, 5), stride=2, ahead_frames=2, delay_frames=10)
    deeper = replace(arch, depths=DEEPER.depths, backward=1)
    with torch.no_grad():
        expected = embedding(grown(network, arch, seed=0).eval())
        found = embedding(grown(network, deeper, seed=0).eval())
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_added_blocks_learn(network: StreamingNeXtTDNN) -> None:
    deep = grown(network, DEEPER, seed=0).eval()
    embedding(deep).square().sum().backward()
    for stage in deep.stages:
        for last in (stage[-1].mix, stage[-1].contract):
            assert last.weight.grad.abs().max() > 0


def test_the_copies_of_a_channel_part_ways(network: StreamingNeXtTDNN) -> None:
    wide = grown(network, replace(SHAPE, channels=32), seed=0).eval()
    embedding(wide).square().sum().backward()
    block = wide.stages[0][0]
    first, second = block.expand.weight.grad.chunk(2, dim=0)
    assert not torch.allclose(first, second, rtol=0.1)


def test_taps_keep_their_offsets_in_time_where_frames_are_joined(
    network: StreamingNeXtTDNN,
) -> None:
    arch = replace(SHAPE, kernel_sizes=(3, 5), stride=2, ahead_frames=2, delay_frames=10)
    joined = grown(network, arch, seed=0)
    # A tap between two frames goes to both, which for a straight line makes no difference.
    line = torch.arange(80.0)[None, :, None].repeat(1, 1, 8)
    for new, old in zip(joined.stages[0][0].convs, network.stages[0][0].convs, strict=True):
        with torch.no_grad():
            torch.testing.assert_close(new(line[:, 1::2])[:, 10:], old(line)[:, 21::2])


@pytest.mark.parametrize(
    "other",
    [
        {"channels": 48},
        {"depths": (2, 2, 1)},
        {"depths": (2, 3, 2), "delay_frames": 30},  # added blocks would look ahead
        {"depths": (2, 2, 2), "backward": 1},
        {"backward": 1},
        {"kernel_sizes": (9,)},
        {"stride": 2},  # with as many frames of look-ahead it would look further ahead
    ],
)
def test_a_network_that_cannot_begin_another_is_refused(
    network: StreamingNeXtTDNN, other: dict[str, object]
) -> None:
    with pytest.raises(TrainingError, match="cannot begin one of shape"):
        grown(network, replace(SHAPE, **other), seed=0)  # type: ignore[arg-type]  # by name


def test_heads_of_the_network_that_it_starts_from_are_left_out(tmp_path: Path) -> None:
    network = StreamingNeXtTDNN(SHAPE)
    network.heads = BlockHeads(SHAPE.pooled_channels)
    path = tmp_path / "w.pt"
    torch.save({"ema": network.state_dict(), "arch": asdict(SHAPE), "step": 1}, path)
    for arch in (SHAPE, replace(SHAPE, channels=32), DEEPER):
        found = start_network(path, arch, seed=0)
        assert found.heads is None
        StreamingNeXtTDNN(arch).load_state_dict(found.state_dict())  # as training takes it
