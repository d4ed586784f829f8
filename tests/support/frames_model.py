"""A bundle of format 2 that needs no training: the spectrum of each frame, some blocks late."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.format import SAMPLE_RATE_HZ
from engine.model.manifest import FRAMES_FILE, HEAD_FILE, FramesFigures

BANDS = 24
BLOCK, FRAME = 1600, 160  # samples
DELAY_BLOCKS = 5
MARGIN_BLOCKS = 2
FIGURES = FramesFigures(
    delay_blocks=DELAY_BLOCKS,
    margin_blocks=MARGIN_BLOCKS,
    pooled_channels=BANDS,
    state_size=DELAY_BLOCKS * (BLOCK + BLOCK // FRAME),  # sound, and which frames of it are real
)
HEARD = msgspec.structs.replace(FIGURES, heads=("overlap_logit", "snr_db", "c50_db"))


def frames_files(*, heads: bool = False) -> dict[str, bytes]:
    """The files of the network: a graph and a head.

    The output of a frame is the log of its power in 24 bands, less their mean, and every real
    frame weighs the same: a span's embedding is the mean over its frames. The graph puts out
    what went in ``DELAY_BLOCKS`` before, which its states hold. With ``heads`` it says those of
    :data:`HEARD` as well: that nobody speaks with another, for the SNR the mean level of a block in
    nepers, and for the C50 that below 0.
    """
    head = np.zeros((2 * BANDS + 1, BANDS), np.float32)
    head[:BANDS] = np.eye(BANDS)
    buffer = io.BytesIO()
    np.save(buffer, head)
    return {FRAMES_FILE: _graph(heads=heads), HEAD_FILE: buffer.getvalue()}


def _graph(*, heads: bool) -> bytes:
    onnx = pytest.importorskip("onnx", reason="building a test bundle needs onnx")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    make, info = helper.make_node, helper.make_tensor_value_info
    kept, masked = DELAY_BLOCKS * BLOCK, DELAY_BLOCKS * BLOCK // FRAME
    nodes = [
        # Which of the frames that come in are real.
        make("Shape", ["sound"], ["rows"], start=0, end=1),
        make("Shape", ["sound"], ["samples"], start=1, end=2),
        make("Div", ["samples", "frame"], ["count"]),
        make("Squeeze", ["count"], ["count_"]),
        make("Range", ["zero", "count_", "one"], ["index"]),
        make("Unsqueeze", ["frames", "axis1"], ["real_count"]),
        make("Less", ["index", "real_count"], ["is_real"]),
        make("Cast", ["is_real"], ["real"], to=number),
        # Sound and mask as they were, and what is kept for later.
        make("Split", ["states", "parts"], ["old_sound", "old_mask"], axis=1),
        make("Concat", ["old_sound", "sound"], ["all_sound"], axis=1),
        make("Concat", ["old_mask", "real"], ["all_mask"], axis=1),
        make("Slice", ["all_sound", "zero1", "samples", "axis1"], ["late_sound"]),
        make("Slice", ["all_mask", "zero1", "count", "axis1"], ["w"]),
        make("Slice", ["all_sound", "samples", "end", "axis1"], ["new_sound"]),
        make("Slice", ["all_mask", "count", "end", "axis1"], ["new_mask"]),
        make("Concat", ["new_sound", "new_mask"], ["new_states"], axis=1),
        # The log power of each frame in bands.
        make("Reshape", ["late_sound", "by_frame"], ["by_frames"]),
        make("MatMul", ["by_frames", "filters"], ["z"]),
        make("Mul", ["z", "z"], ["squared"]),
        make("Split", ["squared"], ["cosines", "sines"], axis=2, num_outputs=2),
        make("Add", ["cosines", "sines"], ["power"]),
        make("Add", ["power", "floor"], ["floored"]),
        make("Log", ["floored"], ["level"]),
        make("ReduceMean", ["level", "axis2"], ["overall"], keepdims=1),
        make("Sub", ["level", "overall"], ["y"]),
        # Sums of w, w y and w y^2 over each block.
        make("Unsqueeze", ["w", "axis2"], ["w_"]),
        make("Expand", ["w_", "bands"], ["w3"]),
        make("Mul", ["w3", "y"], ["wy"]),
        make("Mul", ["wy", "y"], ["wyy"]),
        make("Concat", ["w3", "wy", "wyy"], ["stacked"], axis=2),
        make("Reshape", ["stacked", "by_block"], ["by_blocks"]),
        make("ReduceSum", ["by_blocks", "axis2"], ["block_sums"], keepdims=0),
    ]
    said = [
        make("Reshape", ["overall", "level_by_block"], ["levels"]),
        make("ReduceMean", ["levels", "axis2"], ["loud"], keepdims=1),
        make("Neg", ["loud"], ["low"]),
        make("Sub", ["loud", "loud"], ["even"]),
        make("Sub", ["even", "level_one"], ["alone"]),
        make("Concat", ["alone", "loud", "low"], ["heads"], axis=2),
    ]
    inputs = [
        info("sound", number, ["batch", "n"]),
        info("frames", onnx.TensorProto.INT64, ["batch"]),
        info("states", number, ["batch", FIGURES.state_size]),
    ]
    outputs = [
        info("block_sums", number, ["batch", "blocks", 3, BANDS]),
        info("new_states", number, ["batch", FIGURES.state_size]),
    ]
    constants = _constants(kept, masked)
    if heads:
        nodes += said
        outputs.append(info("heads", number, ["batch", "blocks", len(HEARD.heads)]))
        constants |= {"level_by_block": np.array([0, -1, BLOCK // FRAME])}
        constants |= {"level_one": np.array(1, np.float32)}
    initial = [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    graph = helper.make_graph(nodes, "spectral_frames", inputs, outputs, initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _constants(kept: int, masked: int) -> dict[str, Any]:
    centres_hz = np.geomspace(120, 6000, BANDS)
    angle = 2 * np.pi * np.arange(FRAME)[:, None] * centres_hz / SAMPLE_RATE_HZ
    window = np.hanning(FRAME)[:, None]
    filters = np.concatenate([np.cos(angle) * window, np.sin(angle) * window], axis=1)
    return {
        "frame": np.array([FRAME]),
        "zero": np.array(0),
        "one": np.array(1),
        "zero1": np.array([0]),
        "end": np.array([2**31]),
        "axis1": np.array([1]),
        "axis2": np.array([2]),
        "parts": np.array([kept, masked]),
        "by_frame": np.array([0, -1, FRAME]),
        "filters": filters.astype(np.float32),
        "floor": np.array(1e-6, np.float32),
        "bands": np.array([1, 1, BANDS]),
        "by_block": np.array([0, -1, BLOCK // FRAME, 3, BANDS]),
    }
