"""int8: linear layers on whole numbers, with scales that are set beforehand.

The scale of a layer's input is that of the export: the one with the least squared error over what
came into the layer where the graph was played speech. A scale that follows the input, as dynamic
quantisation has it, is that of the whole batch: what one stream says would change the scores of
those that happen to be computed with it.

Inputs and weights have no zero point, which is what TensorRT asks for. Weights have a scale for
each output and seven bits of the eight: processors of before 2019, and AMD's of before 2022, add
two products in 16 bits, which eight by eight bits overflow (VPMADDUBSW). The graph says it in
QuantizeLinear and DequantizeLinear, from which onnxruntime makes products of whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engine.errors import VoxwatchError

INPUT_LEVELS, WEIGHT_LEVELS = 127, 63  # largest whole number of an input and of a weight
ROWS_A_CALL = 24  # of a layer's input that are kept to choose its scale by
# Scales that are tried, as shares of the one that cuts nothing off.
SHARES: tuple[float, ...] = tuple(np.geomspace(0.05, 1.0, 40).tolist())
SMALLEST_SCALE = 1e-12  # of a layer without weights, or that nothing came into
FIRST_OPSET = 13  # from which a matrix may have a scale for each output

Float32 = NDArray[np.float32]
Run = Callable[[Sequence[str], Mapping[str, NDArray[Any]]], list[NDArray[Any]]]
# Calls a graph, output names and inputs as onnxruntime takes them, until it has heard enough.
Play = Callable[[Run], object]


class QuantisationError(VoxwatchError):
    """A graph whose linear layers cannot be given whole numbers."""


def quantise_linear_layers(model: onnx.ModelProto, play: Play, kept: Iterable[str]) -> None:
    """Give the products with constant matrices in ``model``, an fp32 graph, scales from ``play``.

    Matrices with a name of ``kept`` in theirs stay as they are. Raises :class:`QuantisationError`
    for a graph of an opset that is too old, ``ValueError`` if ``play`` did not call the graph.
    """
    kept = tuple(kept)
    opset = next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
    if opset < FIRST_OPSET:
        raise QuantisationError(
            f"the graph is of opset {opset} and int8 needs {FIRST_OPSET} or later: choose fp16, or"
            " export the encoder anew"
        )
    weights = {one.name: one for one in model.graph.initializer}
    layers = [
        node
        for node in model.graph.node
        if node.op_type == "MatMul"
        and node.input[1] in weights
        and len(weights[node.input[1]].dims) == 2
        and not any(part in node.input[1] for part in kept)
    ]
    scales = {
        name: least_squares_scale(rows)
        for name, rows in _heard(model, [node.input[0] for node in layers], play).items()
    }
    made: dict[str, list[onnx.NodeProto]] = {}
    for node in layers:
        heard, matrix = node.input[:2]
        before = [] if f"{heard}.whole" in made else _of_input(model.graph, heard, scales[heard])
        made.setdefault(f"{heard}.whole", before)
        made[node.name] = [*before, *_of_weight(model.graph, weights[matrix])]
        node.input[0], node.input[1] = f"{heard}.whole", f"{matrix}.whole"
    nodes = [each for node in model.graph.node for each in (*made.get(node.name, []), node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    left = [one for one in model.graph.initializer if one.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(left)


def least_squares_scale(values: Float32) -> float:
    """The step with which ``values``, rounded to whole steps and cut off, change least."""
    largest = float(np.abs(values).max(initial=0.0))
    steps = [max(largest * share / INPUT_LEVELS, SMALLEST_SCALE) for share in SHARES]
    errors = [_squared_error(values, np.float32(step)) for step in steps]
    return steps[int(np.argmin(errors))]


def _squared_error(values: Float32, step: np.float32) -> float:
    rounded = np.rint(values / step)
    np.clip(rounded, -INPUT_LEVELS - 1, INPUT_LEVELS, out=rounded)
    rounded *= step
    rounded -= values
    return float(np.mean(np.square(rounded, out=rounded), dtype=np.float64))


def _heard(model: onnx.ModelProto, names: Sequence[str], play: Play) -> dict[str, Float32]:
    """Rows of each tensor of ``names``, ``(rows, width)``, in the calls that ``play`` makes."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    names = list(dict.fromkeys(names))
    for name in names:
        watched.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(
        watched.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    rows: dict[str, list[Float32]] = {name: [] for name in names}

    def run(outputs: Sequence[str], given: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        found: list[NDArray[Any]] = session.run([*outputs, *names], dict(given))
        for name, heard in zip(names, found[len(outputs) :], strict=True):
            flat = heard.reshape(-1, heard.shape[-1])
            rows[name].append(flat[:: -(-len(flat) // ROWS_A_CALL)].copy())
        return found[: len(outputs)]

    play(run)
    if names and not rows[names[0]]:
        raise ValueError("the graph was played nothing: there is nothing to set its scales by")
    return {name: np.concatenate(parts) for name, parts in rows.items()}


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
    name, values = weight.name, numpy_helper.to_array(weight).astype(np.float32)
    steps = np.maximum(np.abs(values).max(axis=0) / WEIGHT_LEVELS, SMALLEST_SCALE)
    steps = steps.astype(np.float32)
    whole = np.clip(np.rint(values / steps), -WEIGHT_LEVELS, WEIGHT_LEVELS).astype(np.int8)
    parts = [f"{name}.int8", f"{name}.steps", f"{name}.zeros"]
    arrays = (whole, steps, np.zeros(len(steps), np.int8))
    _constants(graph, dict(zip(parts, arrays, strict=True)))
    return [helper.make_node("DequantizeLinear", parts, [f"{name}.whole"], axis=1)]


def _constants(graph: onnx.GraphProto, arrays: Mapping[str, NDArray[Any]]) -> None:
    graph.initializer.extend(numpy_helper.from_array(one, name) for name, one in arrays.items())
