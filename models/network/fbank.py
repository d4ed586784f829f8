"""Kaldi's filter bank as part of an ONNX graph: waveform ``(B, samples)`` to ``(B, T, 80)``.

The features that nearly every published speaker encoder was trained on. A frame of 25 ms
every 10 ms (only whole ones: ``snip_edges``), its mean taken away, pre-emphasis within the
frame, a window, the power spectrum of 512 points, 80 mel filters from 20 to 8000 Hz, log. No
dither, no energy, no warping. A test holds it to ``torchaudio.compliance.kaldi.fbank``.

The nodes are written one by one, with operations that have not changed since opset 11, so
that they go before an encoder of any age without converting it. As in
:mod:`models.network.frontend`, the DFT is two matrix products of a frame folded about its
centre: both windows are symmetric, and a delay does not change the power.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SAMPLE_RATE_HZ = 16000
FRAME_SAMPLES = 400
HOP_SAMPLES = 160
STEP_SAMPLES = 80  # the longest length that both the frame and the hop are multiples of
N_FFT = 512
N_MELS = 80
LOW_HZ, HIGH_HZ = 20.0, 8000.0
PRE_EMPHASIS = 0.97
FLOOR = float(np.finfo(np.float32).eps)  # Kaldi's, of the energy in a filter
INT16_SCALE = 32768.0

OLDEST_OPSET = 11
AXES_AS_INPUT = 18  # the opset from which ReduceMean takes its axes as an input
END = np.iinfo(np.int64).max

Window = Literal["povey", "hamming"]


@dataclass(frozen=True, slots=True)
class KaldiFbank:
    """What the published families differ in.

    ``int16_range`` multiplies the waveform by 32768 first; without the mean that only moves
    the floor under the logarithm. ``subtract_mean`` takes the mean over time from each filter.
    """

    window: Window = "povey"
    int16_range: bool = False
    subtract_mean: bool = True


def fbank_graph(config: KaldiFbank, opset: int, *, prefix: str = "front_end.") -> onnx.GraphProto:
    """``waveform (batch, samples)`` to ``PREFIXfeatures (batch, T, 80)``, for a model of ``opset``.

    At least 400 samples are needed. Every name but the input's begins with ``prefix``.
    """
    if opset < OLDEST_OPSET:
        raise ValueError(f"the front end needs opset {OLDEST_OPSET}, not {opset}")
    graph = _Nodes(prefix, opset)
    log_mel = _log_mel(graph, _folded(graph, _frames(graph, "waveform")), config)
    if config.subtract_mean:
        log_mel = graph.add("Sub", log_mel, graph.mean_over_time(log_mel))
    graph.add("Identity", log_mel, output="features")
    return graph.build(
        helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "samples"]),
        helper.make_tensor_value_info(
            f"{prefix}features", TensorProto.FLOAT, ["batch", "frames", N_MELS]
        ),
    )


def fbank_model(config: KaldiFbank, opset: int = 20, ir_version: int = 10) -> onnx.ModelProto:
    """The front end alone, as a model with the output ``features``."""
    graph = fbank_graph(config, opset, prefix="")
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir_version)


class _Nodes:
    """A graph that grows node by node; every method returns the name of what it made."""

    def __init__(self, prefix: str, opset: int) -> None:
        self._prefix, self._opset = prefix, opset
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def add(self, operation: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = f"{self._prefix}{output or f'{operation.lower()}_{len(self._nodes)}'}"
        self._nodes.append(
            helper.make_node(operation, list(inputs), [name], name=name, **attributes)
        )
        return name

    def constant(self, name: str, value: NDArray[np.float32] | NDArray[np.int64]) -> str:
        name = f"{self._prefix}{name}"
        self._constants[name] = numpy_helper.from_array(value, name)
        return name

    def numbers(self, values: Sequence[int]) -> str:
        """A constant vector of whole numbers, named after them."""
        name = "_".join(map(str, values)).replace("-", "minus_").replace(str(END), "end")
        return self.constant(f"int_{name}", np.array(values, np.int64))

    def slice(self, x: str, start: int | str, end: int | str, axis: int, step: int = 1) -> str:
        bounds = [v if isinstance(v, str) else self.numbers([v]) for v in (start, end)]
        return self.add("Slice", x, *bounds, self.numbers([axis]), self.numbers([step]))

    def mean_over_time(self, x: str) -> str:
        if self._opset >= AXES_AS_INPUT:
            return self.add("ReduceMean", x, self.numbers([1]), keepdims=1)
        return self.add("ReduceMean", x, axes=[1], keepdims=1)

    def build(self, x: onnx.ValueInfoProto, y: onnx.ValueInfoProto) -> onnx.GraphProto:
        constants = list(self._constants.values())
        return helper.make_graph(self._nodes, "kaldi_fbank", [x], [y], constants)


def _frames(graph: _Nodes, waveform: str) -> str:
    """Whole frames ``(B, T, 400)``, cut as rows of half a hop that are laid side by side.

    Slices and a reshape, where a gather of overlapping frames would cost more than the DFT.
    """
    step = graph.numbers([STEP_SAMPLES])
    length = graph.slice(graph.add("Shape", waveform), 1, 2, 0)
    whole = graph.add("Mul", graph.add("Div", length, step), step)
    rows = graph.add(
        "Reshape", graph.slice(waveform, 0, whole, 1), graph.numbers([0, -1, STEP_SAMPLES])
    )
    in_frame, in_hop = FRAME_SAMPLES // STEP_SAMPLES, HOP_SAMPLES // STEP_SAMPLES
    ends = [*range(1 - in_frame, 0), END]  # so that every slice has as many rows as frames
    parts = [graph.slice(rows, i, end, 1, in_hop) for i, end in enumerate(ends)]
    return graph.add("Concat", *parts, axis=2)


def _folded(graph: _Nodes, frames: str) -> tuple[str, str]:
    """Sum and difference ``(B, T, 200)`` of a frame's halves, its mean and the bass removed."""
    average = graph.constant("average", np.full((FRAME_SAMPLES, 1), 1 / FRAME_SAMPLES, np.float32))
    centred = graph.add("Sub", frames, graph.add("MatMul", frames, average))
    # The first sample of a frame is its own predecessor, as in Kaldi.
    before = graph.add(
        "Concat", graph.slice(centred, 0, 1, 2), graph.slice(centred, 0, -1, 2), axis=2
    )
    factor = graph.constant("pre_emphasis", np.array(PRE_EMPHASIS, np.float32))
    sharp = graph.add("Sub", centred, graph.add("Mul", before, factor))
    half = FRAME_SAMPLES // 2
    later = graph.slice(sharp, half, END, 2)
    earlier = graph.slice(sharp, half - 1, -END, 2, -1)
    return graph.add("Add", later, earlier), graph.add("Sub", later, earlier)


def _log_mel(graph: _Nodes, halves: tuple[str, str], config: KaldiFbank) -> str:
    cosines, sines, mel = _matrices(config)
    real = graph.add("MatMul", halves[0], graph.constant("cosines", cosines))
    imaginary = graph.add("MatMul", halves[1], graph.constant("sines", sines))
    squares = [graph.add("Mul", x, x) for x in (real, imaginary)]
    energy = graph.add("MatMul", graph.add("Add", *squares), graph.constant("mel", mel))
    floor = graph.constant("floor", np.array(FLOOR, np.float32))
    return graph.add("Log", graph.add("Max", energy, floor))


def _matrices(
    config: KaldiFbank,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Windowed cosines and sines ``(200, bins)`` and the filters ``(bins, 80)``.

    Only bins that a filter takes anything from.
    """
    mel = mel_filters()
    used = np.flatnonzero(mel.sum(axis=1))
    after_centre = np.arange(FRAME_SAMPLES // 2) + 0.5
    angle = 2 * np.pi / N_FFT * np.outer(after_centre, used)
    half = window(config.window)[FRAME_SAMPLES // 2 :]
    scaled = (half * (INT16_SCALE if config.int16_range else 1.0))[:, None]
    cosines, sines = scaled * np.cos(angle), scaled * np.sin(angle)
    return cosines.astype(np.float32), sines.astype(np.float32), mel[used].astype(np.float32)


def window(kind: Window) -> NDArray[np.float64]:
    """Kaldi's windows ``(400,)``, symmetric: a Hamming, or its own, a Hann to the power 0.85."""
    cosine = np.cos(2 * np.pi * np.arange(FRAME_SAMPLES) / (FRAME_SAMPLES - 1))
    if kind == "hamming":
        return np.asarray(0.54 - 0.46 * cosine)
    return np.asarray((0.5 - 0.5 * cosine) ** 0.85)


def mel_filters() -> NDArray[np.float64]:
    """Triangles in mel of DFT bins, ``(256, 80)``; the bin at half the rate is in none."""
    low, high = _mel(np.array([LOW_HZ, HIGH_HZ]))
    width = (high - low) / (N_MELS + 1)
    bins = _mel(np.arange(N_FFT // 2, dtype=np.float64) * (SAMPLE_RATE_HZ / N_FFT))[:, None]
    left = low + width * np.arange(N_MELS)
    triangles = np.minimum((bins - left) / width, (left + 2 * width - bins) / width)
    return np.asarray(np.maximum(0, triangles), np.float64)


def _mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1127.0 * np.log1p(hz / 700.0)
