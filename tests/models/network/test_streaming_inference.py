"""The streaming network in chunks against the same network over the whole sequence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from models.network.frontend import CausalLogMel
from models.network.streaming import StreamingArchitecture, StreamingNeXtTDNN
from models.network.streaming_inference import FramesInChunks, head_layer
from models.network.streaming_layers import BLOCK_FRAMES

BLOCK_SAMPLES, FRAME_SAMPLES = 1600, 160
SEQUENCE_BLOCKS = 23
RELATIVE = 1e-4


def whole_sequence(network: StreamingNeXtTDNN, sound: torch.Tensor) -> torch.Tensor:
    """Block sums of all of the sound, its look-ahead filled up with frames that are none."""
    delay = network.arch.delay_feature_frames
    features = F.pad(CausalLogMel()(sound), (0, 0, 0, delay))
    mask = torch.ones(len(sound), features.shape[1], 1)
    mask[:, features.shape[1] - delay :] = 0
    with torch.no_grad():
        return network.block_sums(features, mask)[:, network.arch.delay_blocks :]


def in_chunks(
    graph: FramesInChunks, sound: torch.Tensor, chunks: list[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Block sums of the sound cut into chunks of so many blocks, and the last states."""
    states = torch.zeros(len(sound), graph.state_size())
    left, sums = sound.shape[1] // FRAME_SAMPLES, []
    padded = F.pad(sound, (0, sum(chunks) * BLOCK_SAMPLES - sound.shape[1]))
    with torch.no_grad():
        for piece in padded.split([blocks * BLOCK_SAMPLES for blocks in chunks], dim=1):
            frames = piece.shape[1] // FRAME_SAMPLES
            real = torch.full((len(sound),), max(0, min(left, frames)))
            left -= frames
            block_sums, states = graph(piece, real, states)
            sums.append(block_sums)
    return torch.cat(sums, dim=1)[:, graph.arch.delay_blocks :], states


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference relative to the largest sum of its kind."""
    scale = expected.abs().amax(dim=(1, 3), keepdim=True)
    return float(((found - expected).abs() / scale).max())


@pytest.fixture(scope="module")
def network(tiny_streaming_network: Callable[..., StreamingNeXtTDNN]) -> StreamingNeXtTDNN:
    return tiny_streaming_network()


@pytest.fixture(scope="module")
def sound() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    loudness = torch.rand(3, SEQUENCE_BLOCKS, 1, generator=generator)
    noise = torch.randn(3, SEQUENCE_BLOCKS, BLOCK_SAMPLES, generator=generator)
    return (0.2 * loudness * noise).flatten(1)


@st.composite
def chunkings(draw: st.DrawFn) -> list[int]:
    left, chunks = SEQUENCE_BLOCKS + 5, []
    while left:
        chunks.append(draw(st.integers(1, min(left, 9))))
        left -= chunks[-1]
    return chunks


@settings(max_examples=15)
@given(chunks=chunkings())
def test_any_chunking_gives_the_sums_of_the_whole(
    network: StreamingNeXtTDNN, sound: torch.Tensor, chunks: list[int]
) -> None:
    found, _ = in_chunks(FramesInChunks(network), sound, chunks)
    assert difference(found, whole_sequence(network, sound)) < RELATIVE


def test_deep_and_uneven_networks_agree_too(
    tiny_streaming_network: Callable[..., StreamingNeXtTDNN], sound: torch.Tensor
) -> None:
    for arch in (
        StreamingArchitecture(16, (3, 1, 2), (5, 9), 12, ahead_frames=5, delay_frames=30),
        StreamingArchitecture(12, (1, 1, 1), (9,), 12, ahead_frames=0, delay_frames=0),
        StreamingArchitecture(16, (1, 2, 1), (3, 9), 24, ahead_frames=3, delay_frames=15, stride=2),
        StreamingArchitecture(16, (1, 1, 1), (5,), 24, ahead_frames=1, delay_frames=4, stride=5),
        StreamingArchitecture(
            16, (3, 2, 2), (5, 9), 12, ahead_frames=5, delay_frames=20, backward=1
        ),
        StreamingArchitecture(
            16, (2, 1, 2), (3, 9), 24, ahead_frames=4, delay_frames=10, backward=1, stride=2
        ),
    ):
        network = tiny_streaming_network(arch)
        graph = FramesInChunks(network)
        chunks = [4] * ((SEQUENCE_BLOCKS + arch.delay_blocks) // 4 + 1)
        sums, _ = in_chunks(graph, sound, chunks)
        expected = whole_sequence(network, sound)
        assert difference(sums[:, : expected.shape[1]], expected) < RELATIVE


def test_states_are_complete_bit_for_bit(network: StreamingNeXtTDNN, sound: torch.Tensor) -> None:
    graph = FramesInChunks(network)
    frames = torch.full((len(sound),), 4 * BLOCK_FRAMES)
    pieces = sound[:, : 16 * BLOCK_SAMPLES].split(4 * BLOCK_SAMPLES, dim=1)
    states = torch.zeros(len(sound), graph.state_size())
    with torch.no_grad():
        for piece in pieces[:2]:
            _, states = graph(piece, frames, states)
        saved = states.numpy().tobytes()
        for piece in pieces[2:]:
            expected, states = graph(piece, frames, states)
        moved = torch.frombuffer(bytearray(saved), dtype=torch.float32).view(len(sound), -1)
        other = FramesInChunks(network)
        for piece in pieces[2:]:
            found, moved = other(piece, frames, moved)
    assert torch.equal(found, expected)
    assert torch.equal(moved, states)


def test_flushing_a_copy_leaves_the_stream_as_it_was(
    network: StreamingNeXtTDNN, sound: torch.Tensor
) -> None:
    graph = FramesInChunks(network)
    _, states = in_chunks(graph, sound, [SEQUENCE_BLOCKS])
    kept = states.clone()
    silence = torch.zeros(len(sound), 5 * BLOCK_SAMPLES)
    with torch.no_grad():
        last, _ = graph(silence, torch.zeros(len(sound), dtype=torch.int64), states)
    assert difference(last, whole_sequence(network, sound)[:, -5:]) < RELATIVE
    assert torch.equal(states, kept)


def test_a_row_does_not_see_its_neighbours(network: StreamingNeXtTDNN, sound: torch.Tensor) -> None:
    graph = FramesInChunks(network)
    together, _ = in_chunks(graph, sound, [7, 7, 7, 7])
    for row in range(len(sound)):
        alone, _ = in_chunks(graph, sound[row : row + 1], [7, 7, 7, 7])
        assert difference(alone, together[row : row + 1]) < RELATIVE


def test_the_head_is_one_layer(network: StreamingNeXtTDNN, sound: torch.Tensor) -> None:
    sums = whole_sequence(network, sound).sum(dim=1)
    mean = sums[:, 1] / sums[:, 0]
    deviation = (sums[:, 2] / sums[:, 0] - mean.square()).clamp_min(1e-5).sqrt()
    with torch.no_grad():
        found = head_layer(network)(torch.cat([mean, deviation], dim=1))
        torch.testing.assert_close(found, network.head(sums), rtol=1e-4, atol=1e-4)
