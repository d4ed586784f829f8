"""Whole numbers in linear layers: scales from what is played, and no row depends on another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.network.quantise import (
    INPUT_LEVELS,
    ROWS_A_CALL,
    WEIGHT_LEVELS,
    Play,
    QuantisationError,
    Run,
    _heard,
    least_squares_scale,
    quantise_linear_layers,
)

Float32 = NDArray[np.float32]
RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((8, 4)).astype(np.float32) * np.array([1, 10, 0.1, 0], np.float32)
OTHER = RNG.standard_normal((8, 3)).astype(np.float32)


def graph() -> onnx.ModelProto:
    """Two layers on one input, a product of two inputs, and a layer that is kept."""
    nodes = [
        helper.make_node("MatMul", ["x", "layer.weight"], ["y"], name="layer"),
        helper.make_node("MatMul", ["x", "other.weight"], ["z"], name="other"),
        helper.make_node("MatMul", ["x", "kept.weight"], ["k"], name="kept"),
        helper.make_node("MatMul", ["pair", "x"], ["p"], name="product"),
    ]
    weights = {"layer.weight": WEIGHT, "other.weight": OTHER, "kept.weight": WEIGHT}
    inputs = [_value("x", None, 8), _value("pair", None, None)]
    outputs = [_value(name, None, size) for name, size in (("y", 4), ("z", 3), ("k", 4), ("p", 8))]
    initial = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    whole = helper.make_graph(nodes, "layers", inputs, outputs, initial)
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 20)], ir_version=8)


def _value(name: str, *shape: int | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def playing(*inputs: Float32) -> Play:
    def play(run: Run) -> None:
        for x in inputs:
            (found,) = run(["k"], {"x": x, "pair": np.eye(len(x), dtype=np.float32)})
            np.testing.assert_allclose(found, x @ WEIGHT, atol=1e-4)

    return play


def heard_only(*inputs: Float32) -> Play:
    """Plays without a look at what comes out."""

    def play(run: Run) -> None:
        for x in inputs:
            run(["y"], {"x": x, "pair": np.eye(len(x), dtype=np.float32)})

    return play


def computed(model: onnx.ModelProto, x: Float32, names: Sequence[str]) -> list[Float32]:
    onnx.checker.check_model(model)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = {"x": x, "pair": np.eye(len(x), dtype=np.float32)}
    return [np.asarray(one) for one in session.run(list(names), given)]


def quantised(x: Float32) -> onnx.ModelProto:
    model = graph()
    quantise_linear_layers(model, playing(*np.split(x, 20)), ("kept.",))
    return model


SPOKEN = RNG.standard_normal((400, 8)).astype(np.float32)


def test_layers_compute_nearly_what_they_did_and_others_exactly() -> None:
    model = quantised(SPOKEN)
    y, z, k, p = computed(model, SPOKEN, "yzkp")
    for found, wanted in ((y, SPOKEN @ WEIGHT), (z, SPOKEN @ OTHER)):
        spread = wanted.std(axis=0)
        assert (np.abs(found - wanted).max(axis=0) <= 0.15 * spread).all()
        assert (np.abs(found - wanted).max(axis=0) > 0).any()
    np.testing.assert_allclose(k, SPOKEN @ WEIGHT, atol=1e-4)
    np.testing.assert_array_equal(p, SPOKEN)
    values = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    whole = {name: value for name, value in values.items() if value.ndim == 2}
    assert {name for name, value in whole.items() if value.dtype == np.int8} == {
        "layer.weight.int8",
        "other.weight.int8",
    }
    assert "kept.weight" in whole
    assert "layer.weight" not in whole


def test_an_input_of_two_layers_is_rounded_once() -> None:
    operations = [node.op_type for node in quantised(SPOKEN).graph.node]
    assert operations.count("QuantizeLinear") == 1
    assert operations.count("DequantizeLinear") == 3
    assert operations.count("MatMul") == 4


def test_no_row_depends_on_the_others_of_its_batch() -> None:
    """By the range of a batch, a loud row would take the steps of those beside it."""
    model, loud = quantised(SPOKEN), 1000 * np.ones((1, 8), np.float32)
    for rows in (1, 7):
        alone = computed(model, SPOKEN[:rows], "yz")
        beside = computed(model, np.concatenate([SPOKEN[:rows], loud]), "yz")
        for one, other in zip(alone, beside, strict=True):
            np.testing.assert_allclose(other[:rows], one, rtol=1e-5)


def test_numbers_fit_every_processor_and_have_no_zero_point() -> None:
    values = {one.name: numpy_helper.to_array(one) for one in quantised(SPOKEN).graph.initializer}
    weights = {name: value for name, value in values.items() if name.endswith(".weight.int8")}
    largest = [int(np.abs(value).max()) for value in weights.values()]
    # Two products of unsigned inputs, which onnxruntime makes of them, in 16 bits.
    assert 2 * 255 * max(largest) < 2**15
    assert largest == [WEIGHT_LEVELS] * 2
    zeros = [value for name, value in values.items() if name.endswith((".zero", ".zeros"))]
    assert len(zeros) == 3
    assert not any(value.any() for value in zeros)


def test_the_scale_is_of_all_that_was_played() -> None:
    quiet, loud = SPOKEN[:200], 3 * SPOKEN[200:]
    both = graph()
    quantise_linear_layers(both, playing(quiet, loud), ("kept.",))
    (step,) = [one for one in both.graph.initializer if one.name == "x.step"]
    assert float(numpy_helper.to_array(step)) > 1.5 * least_squares_scale(quiet)


def test_a_scale_cuts_off_what_is_rare() -> None:
    values = np.append(RNG.standard_normal(200_000), [60.0]).astype(np.float32)
    step = least_squares_scale(values)
    assert step * INPUT_LEVELS < 40
    even = np.linspace(-1, 1, 5000, dtype=np.float32)
    assert least_squares_scale(even) == pytest.approx(1 / INPUT_LEVELS, rel=0.1)


@pytest.mark.parametrize(
    "heard", [(), (np.zeros((5, 8), np.float32),), (np.full((5, 8), np.inf, np.float32),)]
)
def test_where_nothing_tells_a_scale_there_is_no_whole_number(heard: tuple[Float32, ...]) -> None:
    refused = pytest.raises(QuantisationError, match="recordings of speech, or choose fp16")
    with refused, np.errstate(invalid="ignore"):
        quantise_linear_layers(graph(), heard_only(*heard), ("kept.",))


def test_a_graph_without_linear_layers_is_refused() -> None:
    with pytest.raises(QuantisationError, match="no linear layers for int8: choose fp16"):
        quantise_linear_layers(graph(), playing(SPOKEN), ("layer.", "other.", "kept."))


def test_layers_need_no_names_and_may_share_a_matrix() -> None:
    model = graph()
    for node in model.graph.node:
        node.name = ""
    model.graph.node[2].input[1] = "layer.weight"
    quantise_linear_layers(model, heard_only(SPOKEN), ())
    y, k = computed(model, SPOKEN, "yk")
    np.testing.assert_array_equal(y, k)
    assert np.abs(y - SPOKEN @ WEIGHT).max() > 0


def test_a_matrix_that_others_use_or_may_change_stays() -> None:
    shared, given = graph(), graph()
    shared.graph.node.append(helper.make_node("Identity", ["other.weight"], ["w"]))
    shared.graph.output.append(_value("w", 8, 3))
    quantise_linear_layers(shared, heard_only(SPOKEN), ())
    (w,) = computed(shared, SPOKEN, "w")
    np.testing.assert_array_equal(w, OTHER)
    given.graph.input.append(_value("other.weight", 8, 3))
    quantise_linear_layers(given, heard_only(SPOKEN), ())
    (z,) = computed(given, SPOKEN, "z")
    np.testing.assert_allclose(z, SPOKEN @ OTHER, atol=1e-4)


def test_rows_from_all_of_a_call_set_the_scale_and_few_are_kept() -> None:
    late, model = SPOKEN.copy(), graph()
    late[200:] *= 10
    quantise_linear_layers(model, playing(late), ("kept.",))
    (step,) = [one for one in model.graph.initializer if one.name == "x.step"]
    assert float(numpy_helper.to_array(step)) > 3 * least_squares_scale(SPOKEN)
    rows = _heard(graph(), ["x"], playing(SPOKEN, SPOKEN[:7]))["x"]
    assert len(rows) <= ROWS_A_CALL + 7
    assert len(rows) > ROWS_A_CALL / 2


def test_the_scale_is_the_best_of_all() -> None:
    """By a finer search, whatever the values are like."""
    heavy = np.random.default_rng(1).standard_t(2, 50_000).astype(np.float32)
    for values in (SPOKEN, SPOKEN**3, np.abs(SPOKEN), heavy):
        largest = float(np.abs(values).max())
        steps = largest / INPUT_LEVELS * np.geomspace(0.05, 1, 400)
        errors = [np.square(_rounded(values, step) - values).mean() for step in steps]
        chosen = _rounded(values, least_squares_scale(values))
        assert np.square(chosen - values).mean() < 1.1 * min(errors)


def _rounded(values: Float32, step: float) -> Float32:
    whole = np.clip(np.rint(values / np.float32(step)), -INPUT_LEVELS - 1, INPUT_LEVELS)
    return np.asarray(whole * np.float32(step), np.float32)


def test_weights_are_rounded_to_the_nearest_step() -> None:
    values = {one.name: numpy_helper.to_array(one) for one in quantised(SPOKEN).graph.initializer}
    for name, weight in (("layer.weight", WEIGHT), ("other.weight", OTHER)):
        steps = values[f"{name}.steps"]
        apart = np.abs(values[f"{name}.int8"] * steps - weight)
        assert (apart <= 0.501 * steps).all()
