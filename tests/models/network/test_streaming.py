"""The streaming network over whole sequences: what its sums depend on, and what not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from models.network.streaming import StreamingArchitecture, StreamingNeXtTDNN

BLOCKS = 30


@pytest.fixture(scope="module")
def network(tiny_streaming_network: Callable[..., StreamingNeXtTDNN]) -> StreamingNeXtTDNN:
    return tiny_streaming_network()


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(2, 10 * BLOCKS, 80, generator=torch.Generator().manual_seed(0))


def sums(network: StreamingNeXtTDNN, features: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return network.block_sums(features, torch.ones(*features.shape[:2], 1))


def test_sums_come_late_by_the_look_ahead_and_see_no_further(
    network: StreamingNeXtTDNN, features: torch.Tensor
) -> None:
    before = sums(network, features)
    changed = features.clone()
    changed[:, 200:] += 1.0
    after = sums(network, changed)
    torch.testing.assert_close(after[:, :20], before[:, :20])
    # Blocks 20 to 24 come with the sound of 20 to 24 and are of 15 to 19: they looked ahead.
    assert not torch.allclose(after[:, 20:25], before[:, 20:25], atol=1e-3)
    assert bool((before[:, : network.arch.delay_blocks] == 0).all())


def test_spans_are_differences_of_sums(network: StreamingNeXtTDNN, features: torch.Tensor) -> None:
    found = sums(network, features)
    sequence, start, end = torch.tensor([1, 0]), torch.tensor([3, 0]), torch.tensor([9, 25])
    with torch.no_grad():
        spans = network.spans(found, sequence, start, end)
        own = torch.stack([found[1, 8:14].sum(dim=0), found[0, 5:30].sum(dim=0)])
        torch.testing.assert_close(spans, network.head(own), rtol=1e-3, atol=1e-3)


def test_what_was_said_long_ago_fades(
    tiny_streaming_network: Callable[..., StreamingNeXtTDNN], features: torch.Tensor
) -> None:
    def difference(memory_s: float) -> float:
        arch = StreamingArchitecture(16, (1, 1, 1), (3, 9), 24, memory_s=memory_s)
        network = tiny_streaming_network(arch)
        changed = features.clone()
        changed[:, :50] *= 3.0
        last = [sums(network, f)[:, -1] for f in (features, changed)]
        return float((last[0] - last[1]).norm() / last[0].norm())

    assert difference(0.3) < 0.01 * difference(30.0)


def test_the_mean_starts_from_that_of_training_speech(
    tiny_streaming_network: Callable[..., StreamingNeXtTDNN], features: torch.Tensor
) -> None:
    network = tiny_streaming_network()
    mean = torch.linspace(-2, 2, 80)
    network.prior_mean.copy_(mean)
    shifted = sums(network, features + mean)
    network.prior_mean.zero_()
    torch.testing.assert_close(sums(network, features), shifted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kernel_sizes": (8,)}, "odd"),
        ({"channels": 33}, "do not divide"),
        ({"depths": (1, 0, 1)}, "three stages"),
        ({"depths": (3, 3, 3)}, "does not fit into 50"),
        ({"delay_frames": 55}, "multiple of 10"),
        ({"memory_s": 0.0}, "must be positive"),
        ({"stride": 3}, "stride must divide 10"),
        ({"stride": 2, "ahead_frames": 4, "delay_frames": 24}, "multiple of 5"),
        ({"backward": -1}, "from 0 to 2"),
        ({"depths": (2, 1, 2), "backward": 2}, "from 0 to 1"),
        ({"depths": (4, 4, 4), "backward": -1}, "from 0 to 4"),
        ({"depths": (4, 4, 4), "backward": 1}, "in each of 9 layers does not fit"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StreamingArchitecture(**changed)  # type: ignore[arg-type]  # by name


def test_the_last_blocks_of_a_stage_may_not_look_ahead() -> None:
    arch = StreamingArchitecture(depths=(3, 2, 3), backward=1)
    assert arch.looks == [[8, 8, 0], [8, 0], [8, 8, 0]]
    assert arch.stage_delay_frames == 40
    assert arch.lags == [24, 16, 0]
    assert [block.ahead for block in StreamingNeXtTDNN(arch).stages[1]] == [8, 0]
    arch = StreamingArchitecture(depths=(2, 1, 2), backward=1)
    assert arch.looks == [[8, 0], [0], [8, 0]]
    assert arch.lags == [8, 8, 0]
