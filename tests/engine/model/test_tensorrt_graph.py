"""The frames graph against what TensorRT supports, where no GPU is at hand.

onnxruntime's symbolic shape inference has to find every shape of a bucket, and every operator has
to be one that TensorRT takes, with the types that it takes. An operator that is not in the table is
to be looked up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, numpy_helper
from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference

from engine.model.bundle import Bundle, load_bundle
from engine.model.frames import FRAMES, FramesGraph
from engine.model.providers import LARGEST_BATCH, MOST_BLOCKS, SOUND, STATES, USUAL_BATCH

OPSETS = range(9, 25)
FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16}
NUMBERS = FLOATS | {TensorProto.INT32, TensorProto.INT64}
ANY = NUMBERS | {TensorProto.BOOL}
# Operators and the types of what they compute on: docs/operators.md of onnx-tensorrt for TensorRT
# 10.15 (https://github.com/onnx/onnx-tensorrt).
SUPPORTED = {
    **dict.fromkeys(["Clip", "Conv", "Exp", "Floor", "LayerNormalization", "Log"], FLOATS),
    **dict.fromkeys(["MatMul", "Sigmoid", "Softmax", "Sqrt", "Tanh"], FLOATS),
    **dict.fromkeys(["Abs", "Add", "Div", "Equal", "Gelu", "GreaterOrEqual", "Less"], NUMBERS),
    **dict.fromkeys(["Max", "Mul", "Pad", "Pow", "Range", "ReduceMean", "ReduceSum"], NUMBERS),
    **dict.fromkeys(["Relu", "Sub"], NUMBERS),
    **dict.fromkeys(["Cast", "Concat", "Constant", "Expand", "Gather", "Identity"], ANY),
    **dict.fromkeys(["Reshape", "Shape", "Slice", "Split", "Squeeze", "Transpose"], ANY),
    **dict.fromkeys(["Unsqueeze", "Where"], ANY),
    "QuantizeLinear": FLOATS,
    "DequantizeLinear": {TensorProto.INT8},
}
CONSTANT_INPUT = {"ReduceMean": 1, "ReduceSum": 1, "Squeeze": 1, "Unsqueeze": 1}  # the axes


@pytest.fixture(params=["that ships", "of the tests"])
def bundle(request: pytest.FixtureRequest, frames_bundle: Bundle) -> Bundle:
    return load_bundle() if request.param == "that ships" else frames_bundle


def bucket(bundle: Bundle, rows: int, blocks: int) -> Any:
    """The graph with all shapes, of a call with so many rows and blocks."""
    figures, model = bundle.manifest.frames, onnx.load(bundle.model_path)
    assert figures is not None
    shapes = {
        SOUND: [rows, blocks * figures.block_samples],
        FRAMES: [rows],
        STATES: [rows, figures.state_size],
    }
    for given in model.graph.input:
        for dim, size in zip(given.type.tensor_type.shape.dim, shapes[given.name], strict=True):
            dim.Clear()
            dim.dim_value = size
    return SymbolicShapeInference.infer_shapes(model, auto_merge=False, guess_output_rank=False)


def values(model: Any) -> dict[str, Any]:
    graph = model.graph
    return {
        one.name: one.type.tensor_type for one in [*graph.value_info, *graph.input, *graph.output]
    }


def types(model: Any) -> Iterator[tuple[Any, int, int]]:
    """Nodes, with the place and the type of each input."""
    known = {name: value.elem_type for name, value in values(model).items()}
    known |= {one.name: one.data_type for one in model.graph.initializer}
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name:
                yield node, place, known[name]


@pytest.mark.parametrize("rows", [1, USUAL_BATCH, LARGEST_BATCH])
@pytest.mark.parametrize("blocks", [1, 5, MOST_BLOCKS])
def test_every_shape_of_a_bucket_is_known_before_it_runs(
    bundle: Bundle, rows: int, blocks: int
) -> None:
    model = bucket(bundle, rows, blocks)
    found = values(model)
    unknown = [
        (node.op_type, name)
        for node in model.graph.node
        for name in node.output
        if name not in found or any(not dim.HasField("dim_value") for dim in found[name].shape.dim)
    ]
    assert unknown == []
    session = ort.InferenceSession(str(bundle.model_path), providers=["CPUExecutionProvider"])
    figures = bundle.manifest.frames
    assert figures is not None
    made = FramesGraph(session, bundle).made(rows, blocks * figures.block_samples)
    told = {name: tuple(dim.dim_value for dim in found[name].shape.dim) for name in made}
    assert told == made  # to which the outputs are bound


def test_tensorrt_takes_every_operator_with_its_types(bundle: Bundle) -> None:
    model = bucket(bundle, 8, 5)
    assert all(one.version in OPSETS for one in model.opset_import if not one.domain)
    assert {node.op_type for node in model.graph.node} - SUPPORTED.keys() == set()
    refused = {
        (node.op_type, TensorProto.DataType.Name(kind))
        for node, place, kind in types(model)
        if (place == 0 or node.op_type in ("Concat", "Where"))
        and kind not in SUPPORTED[node.op_type]
    }
    assert refused == set()


def test_what_tensorrt_wants_to_know_beforehand_is_constant(bundle: Bundle) -> None:
    model = bucket(bundle, 8, 5)
    initial = {one.name: one for one in model.graph.initializer}
    constants = set(initial)
    constants |= {name for n in model.graph.node if n.op_type == "Constant" for name in n.output}
    for node in model.graph.node:
        place = CONSTANT_INPUT.get(node.op_type)
        if place is not None and len(node.input) > place:
            assert node.input[place] in constants, node.name
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            step, zero = node.input[1:]
            assert step in constants, node.name
            assert not numpy_helper.to_array(initial[zero]).any(), node.name
        if node.op_type == "LayerNormalization":
            assert len(node.output) == 1, node.name
