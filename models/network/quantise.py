"""int8: linear layers on whole numbers, with scales that are set beforehand.

The scale of a layer's input is that of the export: the one with the least squared error over what
came into the layer where the graph was played speech. A scale that follows the input, as dynamic
quantisation has it, is that of the whole batch: what one stream says would change the scores of
those that happen to be computed with it.

Inputs and weights have no zero point, which is what TensorRT asks for. Weights have a scale for
each output and seven bits of the eight: processors without VNNI, which
Intel's have since 2019 and AMD's since 2022, add two products in 16 bits, which eight by eight bits
overflow (VPMADDUBSW). The graph says it in
QuantizeLinear and DequantizeLinear, from which onnxruntime makes products of whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engine.errors import VoxwatchError
from models.network.parity import cpu_session

INPUT_LEVELS, WEIGHT_LEVELS = 127, 63  # largest whole number of an input and of a weight
ROWS_A_CALL = 24  # of a layer's input that are kept to choose its scale by
# Scales that are tried, as shares of the one that cuts nothing off.
SHARES: tuple[float, ...] = tuple(np.geomspace(0.05, 1.0, 40).tolist())
SMALLEST_SCALE = 1e-12  # of an output whose weights are all zero

Float32 = NDArray[np.float32]
Run = Callable[[Sequence[str], Mapping[str, NDArray[Any]]], list[NDArray[Any]]]
# Calls a graph with all that it is to hear: output names and inputs, as onnxruntime takes them.
Play = Callable[[Run], object]


class QuantisationError(VoxwatchError):
    """A graph whose linear layers cannot be given whole numbers."""


def quantise_linear_layers(model: onnx.ModelProto, play: Play, kept: Iterable[str]) -> None:
    """Give the products with constant matrices in ``model``, an fp32 graph, scales from ``play``.

    Matrices whose names begin with one of ``kept`` stay as they are, and so do those that only
    silence or no number came to. Raises :class:`QuantisationError` where none is left.
    """
    graph = model.graph
    changeable = {one.name for one in graph.input}
    weights = {one.name: one for one in graph.initializer if one.name not in changeable}
    kept = tuple(kept)
    inputs = [node.input[0] for node in graph.node if _is_linear(node, weights, kept)]
    if not inputs:
        raise QuantisationError("the graph has no linear layers for int8: choose fp16")
    heard = _heard(model, dict.fromkeys(inputs), play)
    scales = {name: least_squares_scale(rows) for name, rows in heard.items()}
    rounded: set[str] = set()
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if _is_linear(node, weights, kept) and np.isfinite(scales.get(node.input[0], np.nan)):
            given, matrix = node.input[:2]
            if given not in rounded:
                nodes += _of_input(graph, given, scales[given])
            if matrix not in rounded:
                nodes += _of_weight(graph, weights[matrix])
            rounded |= {given, matrix}
            node.input[0], node.input[1] = f"{given}.whole", f"{matrix}.whole"
        nodes.append(node)
    if not rounded:
        raise QuantisationError(
            "only silence came to the graph's linear layers, which tells nothing of their scales:"
            " give recordings of speech, or choose fp16"
        )
    graph.ClearField("node")
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    left = [one for one in graph.initializer if one.name in used or one.name not in rounded]
    graph.ClearField("initializer")
    graph.initializer.extend(left)


def _is_linear(
    node: onnx.NodeProto, weights: Mapping[str, onnx.TensorProto], kept: tuple[str, ...]
) -> bool:
    if node.op_type != "MatMul" or node.input[1].startswith(kept):
        return False
    weight = weights.get(node.input[1])
    return weight is not None and len(weight.dims) == 2 and weight.data_type == TensorProto.FLOAT


def least_squares_scale(values: Float32) -> float:
    """The step with which ``values``, rounded to whole steps and cut off, change least.

    NaN where they are silence, or no numbers.
    """
    largest = float(np.abs(values).max(initial=0.0))
    if not 0 < largest < np.inf:
        return float("nan")
    steps = [largest * share / INPUT_LEVELS for share in SHARES]
    errors = [_squared_error(values, np.float32(step)) for step in steps]
    return steps[int(np.argmin(errors))]


def _squared_error(values: Float32, step: np.float32) -> float:
    rounded = np.rint(values / step)
    np.clip(rounded, -INPUT_LEVELS - 1, INPUT_LEVELS, out=rounded)
    rounded *= step
    rounded -= values
    return float(np.mean(np.square(rounded, out=rounded), dtype=np.float64))


def _heard(model: onnx.ModelProto, names: Iterable[str], play: Play) -> dict[str, Float32]:
    """Rows of each tensor of ``names``, ``(rows, width)``, in the calls that ``play`` makes."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    names = list(names)
    for name in names:
        watched.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = cpu_session(watched.SerializeToString())
    rows: dict[str, list[Float32]] = {name: [] for name in names}

    def run(outputs: Sequence[str], given: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        found: list[NDArray[Any]] = session.run([*outputs, *names], dict(given))
        for name, heard in zip(names, found[len(outputs) :], strict=True):
            flat = heard.reshape(-1, heard.shape[-1])
            # Copies: views would keep all that was computed in memory.
            rows[name].append(flat[:: max(1, -(-len(flat) // ROWS_A_CALL))].copy())
        return found[: len(outputs)]

    play(run)
    return {name: np.concatenate(parts) for name, parts in rows.items() if parts}


def _of_input(graph: onnx.GraphProto, name: str, scale: float) -> list[onnx.NodeProto]:
    """Nodes that round ``name`` to whole steps: ``name.whole``."""
    step, zero = f"{name}.step", f"{name}.zero"
    _constants(graph, {step: np.array(scale, np.float32), zero: np.array(0, np.int8)})
    return [
        helper.make_node("QuantizeLinear", [name, step, zero], [f"{name}.int8"]),
        helper.make_node("DequantizeLinear", [f"{name}.int8", step, zero], [f"{name}.whole"]),
    ]


def _of_weight(graph: onnx.GraphProto, weight: onnx.TensorProto) -> list[onnx.NodeProto]:
    """The node that makes ``weight``, ``(inputs, outputs)``, of whole numbers: ``.whole``."""
    name, values = weight.name, numpy_helper.to_array(weight)
    steps = np.maximum(np.abs(values).max(axis=0) / WEIGHT_LEVELS, SMALLEST_SCALE)
    steps = steps.astype(np.float32)
    whole = np.clip(np.rint(values / steps), -WEIGHT_LEVELS, WEIGHT_LEVELS).astype(np.int8)
    parts = [f"{name}.int8", f"{name}.steps", f"{name}.zeros"]
    arrays = (whole, steps, np.zeros(len(steps), np.int8))
    _constants(graph, dict(zip(parts, arrays, strict=True)))
    return [helper.make_node("DequantizeLinear", parts, [f"{name}.whole"], axis=1)]


def _constants(graph: onnx.GraphProto, arrays: Mapping[str, NDArray[Any]]) -> None:
    graph.initializer.extend(numpy_helper.from_array(one, name) for name, one in arrays.items())
