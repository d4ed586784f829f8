"""Weights of a windowed NeXt-TDNN in the streaming one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from engine.model.bundle import Bundle
from models.network import export
from models.network.block_heads import BlockHeads
from models.network.export import Identity, export_bundle
from models.network.next_tdnn import DepthwiseConv, NeXtTDNN
from models.network.streaming import StreamingArchitecture, StreamingNeXtTDNN
from models.training.config import TrainingError
from models.training.start import start_network


@pytest.fixture(scope="module")
def windowed(tiny_network: Callable[..., NeXtTDNN]) -> NeXtTDNN:
    return tiny_network()


@pytest.fixture(scope="module")
def bundle(
    windowed: NeXtTDNN, tiny_graph: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "to_onnx", lambda *_: tiny_graph)
        return export_bundle(windowed, folder, Identity("tiny", "1", "Apache-2.0", "tests"))


def shape(ahead: int) -> StreamingArchitecture:
    return StreamingArchitecture(16, (1, 2, 1), (3, 9), 24, ahead_frames=ahead, delay_frames=20)


def test_layers_are_taken_as_they_are(windowed: NeXtTDNN, bundle: Bundle) -> None:
    network = start_network(bundle.folder, shape(4))
    for i, stage in enumerate(windowed.model.stages):
        for j, block in enumerate(stage):
            ours = network.stages[i][j]
            torch.testing.assert_close(ours.mix.weight, block.pwconv_1stage.weight)
            torch.testing.assert_close(ours.expand.weight, block.pwconv1.weight)
            torch.testing.assert_close(ours.norm.bias, block.norm.bias)
            torch.testing.assert_close(ours.grn.gamma, block.grn.gamma.flatten())


@pytest.mark.parametrize("ahead", [4, 2, 0])
def test_convolutions_keep_the_taps_they_reach_at_their_offsets(
    windowed: NeXtTDNN, bundle: Bundle, ahead: int
) -> None:
    network = start_network(bundle.folder, shape(ahead))
    x = torch.randn(1, 40, 8, generator=torch.Generator().manual_seed(0))
    for kernel, ours in enumerate(network.stages[0][0].convs):
        theirs = windowed.model.stages[0][0].mscconv[kernel]
        assert isinstance(theirs, DepthwiseConv)
        reach = theirs.kernel_size[0] // 2
        full = theirs.weight.clone()
        with torch.no_grad():
            if reach > ahead:  # what lies further ahead is not there for a stream
                theirs.weight[..., reach + ahead + 1 :] = 0
            expected = theirs(x)[:, : 40 - ahead]
            theirs.weight.copy_(full)
            found = ours(x)[:, ahead:]
        torch.testing.assert_close(found[:, 8:], expected[:, 8:], rtol=1e-4, atol=1e-5)


def test_a_network_of_another_shape_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="does not hold a NeXt-TDNN of the shape"):
        start_network(bundle.folder, StreamingArchitecture(32, (1, 2, 1), (3, 9), 24))
    network = StreamingNeXtTDNN(shape(4))
    path = tmp_path / "w.pt"
    arch = {"channels": 16, "depths": (1, 2, 1), "kernel_sizes": (3, 9), "embedding_size": 24}
    arch |= {"ahead_frames": 4, "delay_frames": 20}
    torch.save({"ema": network.state_dict(), "arch": arch, "step": 1}, path)
    assert start_network(path, shape(4)).arch == shape(4)
    with pytest.raises(TrainingError, match="of another shape"):
        start_network(path, shape(2))


def test_heads_of_the_network_that_it_starts_from_are_left_out(tmp_path: Path) -> None:
    network = StreamingNeXtTDNN(shape(4))
    network.heads = BlockHeads(network.arch.pooled_channels)
    path = tmp_path / "w.pt"
    torch.save({"ema": network.state_dict(), "arch": asdict(network.arch), "step": 1}, path)
    found = start_network(path, shape(4))
    assert found.heads is None
    StreamingNeXtTDNN(shape(4)).load_state_dict(found.state_dict())  # as training takes it
