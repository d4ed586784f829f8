"""The streaming network to ONNX: a graph for frames, a matrix for spans, checked against torch."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from engine.format import unit
from models.network.block_heads import HEADS
from models.network.export import ExportError, export_graph
from models.network.frontend import CausalLogMel, FrontEndConfig
from models.network.parity import cpu_session
from models.network.quantise import Play, Run
from models.network.streaming import (
    StreamingArchitecture,
    StreamingNeXtTDNN,
)
from models.network.streaming_inference import FramesInChunks, head_layer
from models.network.streaming_layers import BLOCK_FRAMES, VARIANCE_FLOOR, WEIGHT_FLOOR

FRAMES_FILE, HEAD_FILE = "frames.onnx", "head.npy"
INPUTS = ("sound", "frames", "states")
OUTPUTS = ("block_sums", "new_states")
HEADS_OUTPUT = "heads"  # of a network that has heads
SUMS_GATE = 1e-4  # of the largest sum of its kind: fp32 against torch
COSINE_GATE = 0.9999
HEADS_GATE = 0.05  # of a logit, and decibels: fp32 against torch
PARITY_CHUNKS = (5, 1, 3, 7)  # blocks, in turn
PLAYED_CHUNKS = (5,)  # to set scales by, as a stream comes
PARITY_SPANS_BLOCKS = (5, 10, 20, 30)

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StreamingGraphs:
    """What a bundle of format 2 holds beside its figures; arrays are float32."""

    frames: bytes
    head_weight: Float32  # (2 pooled, D): times pooled mean and deviation, side by side
    head_bias: Float32  # (D,)
    manifest: dict[str, Any]

    def files(self) -> dict[str, bytes]:
        """The files of a bundle by name; the head's bias is the last row of its matrix."""
        buffer = io.BytesIO()
        np.save(buffer, np.vstack([self.head_weight, self.head_bias]), allow_pickle=False)
        return {FRAMES_FILE: self.frames, HEAD_FILE: buffer.getvalue()}

    @classmethod
    def read(cls, folder: Path, manifest: dict[str, Any]) -> StreamingGraphs:
        """From the files that :meth:`files` named, as they are: a bundle's are checked before."""
        matrix = np.load(folder / HEAD_FILE, allow_pickle=False).astype(np.float32)
        return cls((folder / FRAMES_FILE).read_bytes(), matrix[:-1], matrix[-1], manifest)


@dataclass(frozen=True, slots=True)
class StreamingParity:
    """The graph in onnxruntime against the whole sequence in torch."""

    sums_relative_max: float  # difference, of the largest sum of its kind
    cosine_min: float  # of embeddings of spans
    heads_max: float  # difference; 0 without heads
    bytes: int

    @property
    def passes(self) -> bool:
        """Whether an fp32 graph is as near as it must be."""
        return (
            self.sums_relative_max <= SUMS_GATE
            and self.cosine_min >= COSINE_GATE
            and self.heads_max <= HEADS_GATE
        )


def frames_to_onnx(network: StreamingNeXtTDNN, front_end: FrontEndConfig | None = None) -> bytes:
    """The frames graph in fp32; :class:`FramesInChunks` says what goes in and comes out."""
    graph = FramesInChunks(network.eval(), front_end)
    block = BLOCK_FRAMES * graph.front_end.config.hop_samples
    example = (
        torch.zeros(2, 3 * block),
        torch.zeros(2, dtype=torch.int64),
        torch.zeros(2, graph.state_size()),
    )
    batch = torch.export.Dim("batch")
    samples = block * torch.export.Dim("blocks")
    shapes = ({0: batch, 1: samples}, {0: batch}, {0: batch})
    outputs = [*OUTPUTS, *([] if network.heads is None else [HEADS_OUTPUT])]
    return export_graph(graph, example, list(INPUTS), outputs, shapes)


def head_arrays(network: StreamingNeXtTDNN) -> tuple[Float32, Float32]:
    """The head's matrix and bias."""
    layer = head_layer(network.eval())
    return layer.weight.numpy().astype(np.float32), layer.bias.numpy().astype(np.float32)


def streaming_manifest(
    arch: StreamingArchitecture,
    state_size: int,
    front_end: FrontEndConfig | None = None,
    heads: Sequence[str] = (),
) -> dict[str, Any]:
    """What whoever runs the graph must know of it."""
    block = BLOCK_FRAMES * (front_end or FrontEndConfig()).hop_samples
    return {
        "architecture": asdict(arch),
        "block_samples": block,
        "delay_blocks": arch.delay_blocks,
        "pooled_channels": arch.pooled_channels,
        "state_size": state_size,
        "weight_floor": WEIGHT_FLOOR,
        "variance_floor": VARIANCE_FLOOR,
        "heads": list(heads),
    }


def streaming_graphs(
    network: StreamingNeXtTDNN,
    speech: Float32,
    front_end: FrontEndConfig | None = None,
) -> tuple[StreamingGraphs, StreamingParity]:
    """Export in fp32 and check on ``speech (B, samples)``, some seconds of it.

    Raises :class:`ExportError` when the graph differs from torch by more than the gates.
    """
    network = network.eval()
    weight, bias = head_arrays(network)
    size = FramesInChunks(network, front_end).state_size()
    heads = () if network.heads is None else HEADS
    manifest = streaming_manifest(network.arch, size, front_end, heads)
    full = StreamingGraphs(frames_to_onnx(network, front_end), weight, bias, manifest)
    parity = measure_streaming_parity(network, full, speech, front_end)
    if not parity.passes:
        raise ExportError(
            f"the exported graph does not match torch (sums differ by"
            f" {parity.sums_relative_max:.1e}, cosine {parity.cosine_min:.6f}, heads differ by"
            f" {parity.heads_max:.1e}): nothing was written; please report this"
        )
    return full, parity


def frames_played(graphs: StreamingGraphs, batches: Sequence[Float32]) -> Play:
    """Plays a frames graph all ``batches (B, samples)`` as streams that begin anew."""

    def play(run: Run) -> None:
        session = StreamingSession(graphs, run)
        for batch in batches:
            session.blocks(batch, PLAYED_CHUNKS)

    return play


def measure_streaming_parity(
    network: StreamingNeXtTDNN,
    graphs: StreamingGraphs,
    speech: Float32,
    front_end: FrontEndConfig | None = None,
) -> StreamingParity:
    """``graphs`` in onnxruntime, in chunks, against ``network`` over the whole ``(B, samples)``."""
    expected = _whole_sums(network, speech, front_end)
    blocks = expected.shape[1]
    found, heads = (
        part[:, :blocks] for part in StreamingSession(graphs).blocks(speech, PARITY_CHUNKS)
    )
    scale = np.abs(expected).max(axis=(1, 3), keepdims=True)
    relative = float(np.max(np.abs(found - expected) / scale))
    cosines = []
    for blocks in PARITY_SPANS_BLOCKS:
        if blocks > expected.shape[1]:
            continue
        ours = embed_sums(graphs, found[:, :blocks].sum(axis=1))
        with torch.no_grad():
            theirs = network.head(torch.from_numpy(expected[:, :blocks].sum(axis=1)))
        cosines.append((ours * F.normalize(theirs, dim=1).numpy()).sum(axis=1).min())
    apart = 0.0
    if network.heads is not None:
        with torch.no_grad():
            said, _ = network.heads(torch.from_numpy(expected))
        apart = float(np.abs(heads - said.numpy()).max())
    return StreamingParity(relative, float(np.min(cosines)), apart, len(graphs.frames))


def _whole_sums(
    network: StreamingNeXtTDNN, speech: Float32, front_end: FrontEndConfig | None
) -> Float32:
    delay = network.arch.delay_feature_frames
    with torch.no_grad():
        layer = CausalLogMel(front_end)
        samples = BLOCK_FRAMES * layer.config.hop_samples
        whole = speech[:, : speech.shape[1] // samples * samples]
        features = layer(torch.from_numpy(whole))
        frames = features.shape[1]
        features = F.pad(features, (0, 0, 0, delay))
        mask = torch.ones(len(speech), frames + delay, 1)
        mask[:, frames:] = 0
        sums = network.block_sums(features, mask)[:, network.arch.delay_blocks :]
    return np.asarray(sums.numpy(), np.float32)


class StreamingSession:
    """The frames graph on one CPU thread, for measurements, or one that ``run`` calls."""

    def __init__(self, graphs: StreamingGraphs, run: Run | None = None) -> None:
        self._call = run or cpu_session(graphs.frames).run
        self._manifest = graphs.manifest

    def run(
        self, sound: Float32, frames: NDArray[np.int64], states: Float32
    ) -> tuple[Float32, Float32, Float32]:
        """One chunk: sums, states, heads; :class:`FramesInChunks` has the shapes.

        Without heads the last is ``(B, blocks, 0)``.
        """
        given: dict[str, NDArray[Any]] = dict(zip(INPUTS, (sound, frames, states), strict=True))
        outputs = [*OUTPUTS, *([HEADS_OUTPUT] if self._manifest["heads"] else [])]
        sums, new_states, *heads = self._call(outputs, given)
        none = np.zeros((*sums.shape[:2], 0), np.float32)
        return sums, new_states, heads[0] if heads else none

    def fresh_states(self, batch: int) -> Float32:
        """States of streams that have not begun."""
        return np.zeros((batch, self._manifest["state_size"]), np.float32)

    def sums(self, speech: Float32, chunks: tuple[int, ...]) -> Float32:
        """The first of :meth:`blocks`."""
        return self.blocks(speech, chunks)[0]

    def blocks(self, speech: Float32, chunks: tuple[int, ...]) -> tuple[Float32, Float32]:
        """Sums and heads of all blocks of ``(B, samples)``, in chunks of so many blocks in turn.

        Samples after the last whole block are left out.
        """
        block, delay = self._manifest["block_samples"], self._manifest["delay_blocks"]
        blocks = speech.shape[1] // block
        states, done, turn = self.fresh_states(len(speech)), 0, 0
        sums, heads = [], []
        padded = np.pad(speech[:, : blocks * block], ((0, 0), (0, (delay + max(chunks)) * block)))
        while done < blocks + delay:
            size = chunks[turn % len(chunks)]
            real = min(max(blocks - done, 0), size) * BLOCK_FRAMES
            piece = padded[:, done * block : (done + size) * block].astype(np.float32)
            found, states, said = self.run(piece, np.full(len(speech), real, np.int64), states)
            sums.append(found)
            heads.append(said)
            done, turn = done + size, turn + 1
        kept = slice(delay, delay + blocks)
        return np.concatenate(sums, axis=1)[:, kept], np.concatenate(heads, axis=1)[:, kept]


def embed_sums(graphs: StreamingGraphs, sums: Float32) -> Float32:
    """Sums over spans ``(N, 3, pooled)`` to unit embeddings ``(N, D)``."""
    w = np.maximum(sums[:, 0], WEIGHT_FLOOR)
    mean = sums[:, 1] / w
    variance = np.maximum(sums[:, 2] / w - mean * mean, VARIANCE_FLOOR)
    pooled = np.concatenate([mean, np.sqrt(variance)], axis=1)
    return unit(pooled @ graphs.head_weight + graphs.head_bias)
