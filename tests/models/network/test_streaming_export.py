"""The exported graph of frames against torch, in onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from models.network import streaming_export
from models.network.block_heads import HEADS, BlockHeads
from models.network.export import ExportError, to_fp16, to_int8
from models.network.streaming import StreamingArchitecture, StreamingNeXtTDNN
from models.network.streaming_export import (
    StreamingGraphs,
    StreamingSession,
    embed_sums,
    frames_played,
    measure_streaming_parity,
    streaming_graphs,
)


@pytest.fixture(scope="module")
def network(tiny_streaming_network: Callable[..., StreamingNeXtTDNN]) -> StreamingNeXtTDNN:
    return tiny_streaming_network()


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(0).standard_normal((2, 40_300))).astype(np.float32)


@pytest.fixture(scope="module")
def graphs(network: StreamingNeXtTDNN, speech: NDArray[np.float32]) -> StreamingGraphs:
    found, parity = streaming_graphs(network, speech)
    assert parity.sums_relative_max < 1e-4
    assert parity.cosine_min > 0.99999
    return found


def test_any_chunking_gives_the_same_sums(
    graphs: StreamingGraphs, speech: NDArray[np.float32]
) -> None:
    session = StreamingSession(graphs)
    expected = session.sums(speech, (25,))
    for chunks in ((1,), (5,), (2, 7, 1)):
        found = session.sums(speech, chunks)
        scale = np.abs(expected).max(axis=(1, 3), keepdims=True)
        assert np.max(np.abs(found - expected) / scale) < 1e-4


@pytest.mark.parametrize("precision", ["graphs", "whole_numbers"])
def test_states_move_to_another_process_bit_for_bit(
    precision: str, speech: NDArray[np.float32], request: pytest.FixtureRequest
) -> None:
    served: StreamingGraphs = request.getfixturevalue(precision)
    session, other = StreamingSession(served), StreamingSession(served)
    chunk, frames = speech[:, :8000], np.full(2, 50, np.int64)
    _, states, _ = session.run(chunk, frames, session.fresh_states(2))
    moved = np.frombuffer(states.tobytes(), np.float32).reshape(states.shape)
    for _ in range(3):
        here, states, _ = session.run(chunk, frames, states)
        there, moved, _ = other.run(chunk, frames, moved)
        assert here.tobytes() == there.tobytes()
    assert states.tobytes() == moved.tobytes()


def test_the_files_of_a_bundle_are_the_graphs(
    graphs: StreamingGraphs, speech: NDArray[np.float32], tmp_path: Path
) -> None:
    for name, content in graphs.files().items():
        (tmp_path / name).write_bytes(content)
    read = StreamingGraphs.read(tmp_path, graphs.manifest)
    sums = StreamingSession(read).sums(speech, (5,)).sum(axis=1)
    np.testing.assert_array_equal(embed_sums(read, sums), embed_sums(graphs, sums))


@pytest.fixture
def exported(graphs: StreamingGraphs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The full graph of ``network`` is taken as it was exported before."""
    monkeypatch.setattr(streaming_export, "frames_to_onnx", lambda *_: graphs.frames)


@pytest.mark.usefixtures("exported")
def test_half_precision_is_half_as_long_and_close(
    network: StreamingNeXtTDNN, graphs: StreamingGraphs, speech: NDArray[np.float32]
) -> None:
    small = replace(graphs, frames=to_fp16(graphs.frames))
    parity = measure_streaming_parity(network, small, speech)
    assert len(small.frames) < len(graphs.frames)
    assert parity.cosine_min > 0.999
    embeddings = embed_sums(small, StreamingSession(small).sums(speech, (5,)).sum(axis=1))
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)


@pytest.fixture(scope="module")
def whole_numbers(speech: NDArray[np.float32], graphs: StreamingGraphs) -> StreamingGraphs:
    return replace(graphs, frames=to_int8(graphs.frames, frames_played(graphs, [speech])))


def test_int8_is_close_and_has_whole_numbers(
    network: StreamingNeXtTDNN, speech: NDArray[np.float32], whole_numbers: StreamingGraphs
) -> None:
    parity = measure_streaming_parity(network, whole_numbers, speech)
    assert 0.98 < parity.cosine_min < 1.0
    operations = [node.op_type for node in onnx.load_from_string(whole_numbers.frames).graph.node]
    # The stem, four layers a block, the aggregation, two of the pooling.
    blocks = sum(network.arch.depths)
    assert operations.count("QuantizeLinear") == 1 + 4 * blocks + 1 + 2


def test_a_graph_is_played_all_batches_as_streams_come(
    speech: NDArray[np.float32], graphs: StreamingGraphs
) -> None:
    session, lengths, heard = StreamingSession(graphs), [], []

    def run(outputs: Sequence[str], given: Mapping[str, Any]) -> list[NDArray[Any]]:
        lengths.append(given["sound"].shape[1] / 1600)
        heard.append(given["sound"][0, 0])
        found = session.run(given["sound"], given["frames"], given["states"])
        return list(found[: len(outputs)])

    frames_played(graphs, [speech, speech[:, 1600:]])(run)
    assert set(lengths) == {5}
    assert heard[0] == speech[0, 0]
    assert speech[0, 1600] in heard[1:]


def test_int8_streams_do_not_depend_on_each_other_or_on_chunks(
    speech: NDArray[np.float32], whole_numbers: StreamingGraphs
) -> None:
    """Rounding may take what differs in the last bit to the next whole number, and no more."""
    session = StreamingSession(whole_numbers)
    expected = session.sums(speech[:1], (5,))
    scale = np.abs(expected).max(axis=(1, 3), keepdims=True)
    loud = np.concatenate([speech[:1], 10 * speech[1:], np.zeros_like(speech[:1])])
    for beside, chunks in ((loud, (5,)), (speech[:1], (1, 7)), (loud, (3,))):
        found = session.sums(beside, chunks)[:1]
        assert np.max(np.abs(found - expected) / scale) < 2e-3
        embeddings = [embed_sums(whole_numbers, one.sum(axis=1)) for one in (found, expected)]
        assert float((embeddings[0] * embeddings[1]).sum()) > 0.99999


@pytest.mark.usefixtures("exported")
@pytest.mark.parametrize("parity", [(0.1, 1.0, 0.0), (0.0, 0.5, 0.0), (0.0, 1.0, 1.0)])
def test_a_graph_that_computes_something_else_is_not_given(
    parity: tuple[float, float, float],
    network: StreamingNeXtTDNN,
    speech: NDArray[np.float32],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worse = streaming_export.StreamingParity(*parity, 1)
    monkeypatch.setattr(streaming_export, "measure_streaming_parity", lambda *_: worse)
    with pytest.raises(ExportError, match="does not match torch"):
        streaming_graphs(network, speech)


def test_the_graph_says_nothing_of_the_machine_it_was_made_on(graphs: StreamingGraphs) -> None:
    assert str(Path(__file__).resolve().parents[3]).encode() not in graphs.frames
    model = onnx.load_from_string(graphs.frames)
    assert [i.name for i in model.graph.input] == ["sound", "frames", "states"]
    assert [o.name for o in model.graph.output] == ["block_sums", "new_states"]


def test_parity_is_measured_against_the_network(
    tiny_streaming_network: Callable[..., StreamingNeXtTDNN],
    graphs: StreamingGraphs,
    speech: NDArray[np.float32],
) -> None:
    other = tiny_streaming_network()
    other.attend.weight.data.mul_(3.0)
    assert measure_streaming_parity(other, graphs, speech).sums_relative_max > 1e-2


def test_joined_frames_and_heads_are_exported_too(
    tiny_streaming_network: Callable[..., StreamingNeXtTDNN], speech: NDArray[np.float32]
) -> None:
    shape = StreamingArchitecture(
        16, (1, 1, 1), (3, 9), 24, ahead_frames=4, delay_frames=20, stride=2
    )
    network = tiny_streaming_network(shape)
    torch.manual_seed(0)
    network.heads = BlockHeads(network.arch.pooled_channels)
    found, parity = streaming_graphs(network, speech)
    assert found.manifest["delay_blocks"] == 4
    assert parity.sums_relative_max < 1e-4
    assert parity.cosine_min > 0.99999
    assert parity.heads_max < 1e-2
    assert found.manifest["heads"] == list(HEADS)
    outputs = onnx.load_from_string(found.frames).graph.output
    assert [o.name for o in outputs] == ["block_sums", "new_states", "heads"]
    whole = to_int8(found.frames, frames_played(found, [speech]))
    kept = {i.name for i in onnx.load_from_string(whole).graph.initializer if "heads" in i.name}
    assert kept >= {"heads.hidden.weight.fp16", "heads.out.weight"}
    assert not any("int8" in name for name in kept)
    session = StreamingSession(found)
    _, at_once = session.blocks(speech, (30,))
    _, in_parts = session.blocks(speech, (3, 1))
    np.testing.assert_allclose(in_parts, at_once, atol=1e-3)
    network.heads.out.bias.data.add_(1.0)
    assert measure_streaming_parity(network, found, speech).heads_max > 0.9


def test_a_network_without_heads_has_none_in_its_graph(
    graphs: StreamingGraphs, speech: NDArray[np.float32]
) -> None:
    assert graphs.manifest["heads"] == []
    assert StreamingSession(graphs).blocks(speech, (5,))[1].shape == (2, 25, 0)
