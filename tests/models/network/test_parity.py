"""Parity is measured against a graph whose answer, and so whose figures, are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.network.frontend import FrontEndConfig, LogMel
from models.network.next_tdnn import NeXtTDNN
from models.network.parity import PARITY_BATCHES, PARITY_LENGTHS_S, measure_parity, parity_batches

Float32 = NDArray[np.float32]
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def network(tiny_network: Callable[..., NeXtTDNN]) -> NeXtTDNN:
    return tiny_network(light=True)


@pytest.fixture(scope="module")
def sounds() -> Float32:
    """Noise of three colours, ``(3, 8000)``."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((3, 8000))
    noise[1, 1:] += noise[1, :-1]
    noise[2, 1:] -= noise[2, :-1]
    return noise.astype(np.float32)


def embedded(
    network: NeXtTDNN, sounds: Float32, front_end: FrontEndConfig | None = None
) -> Float32:
    with torch.no_grad():
        embeddings = network(LogMel(front_end)(torch.from_numpy(sounds))).numpy()
    return np.asarray(embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True))


def answering(embedding: Float32) -> bytes:
    """A graph that gives one ``embedding`` ``(D,)`` for any sound, NaN for one with a zero."""
    nodes = [
        helper.make_node("Div", ["sound", "sound"], ["ones"]),
        helper.make_node("ReduceMean", ["ones", "time"], ["one"], keepdims=1),
        helper.make_node("Mul", ["one", "known"], ["answer"]),
    ]
    number = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "answering",
        [helper.make_tensor_value_info("sound", number, ["batch", "samples"])],
        [helper.make_tensor_value_info("answer", number, ["batch", len(embedding)])],
        [
            numpy_helper.from_array(np.array([1]), "time"),
            numpy_helper.from_array(embedding, "known"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def test_every_row_of_every_batch_counts_alike(network: NeXtTDNN, sounds: Float32) -> None:
    expected = embedded(network, sounds)
    model = answering(expected[0])
    same = measure_parity(network, model, [sounds[:1]])
    assert same.cosine_min == pytest.approx(1, abs=1e-6)
    assert same.max_abs < 1e-6
    assert same.bytes == len(model)
    cosines = [1, *(expected @ expected[0])]  # of a batch of one and a batch of three
    assert min(cosines) < 0.999
    for batches in ([sounds[:1], sounds], [sounds, sounds[:1]]):
        parity = measure_parity(network, model, batches)
        assert parity.cosine_min == pytest.approx(min(cosines), abs=1e-6)
        assert parity.cosine_mean == pytest.approx(np.mean(cosines), abs=1e-6)
        assert parity.max_abs == pytest.approx(np.abs(expected - expected[0]).max(), abs=1e-6)


def test_an_embedding_of_another_length_differs_though_its_direction_agrees(
    network: NeXtTDNN, sounds: Float32
) -> None:
    unit = embedded(network, sounds)[0]
    parity = measure_parity(network, answering(3 * unit), [sounds[:1]])
    assert parity.cosine_min == pytest.approx(1, abs=1e-6)
    assert parity.max_abs == pytest.approx(2 * np.abs(unit).max(), abs=1e-6)


def test_a_graph_that_fails_on_one_sound_is_no_match_wherever_it_is(
    network: NeXtTDNN, sounds: Float32
) -> None:
    model = answering(embedded(network, sounds)[0])
    paused = sounds[:1].copy()
    paused[0, 100] = 0
    for batches in ([paused, sounds[:1]], [sounds[:1], paused]):
        parity = measure_parity(network, model, batches)
        assert np.isnan([parity.cosine_min, parity.cosine_mean, parity.max_abs]).all()


def test_torch_hears_through_the_front_end_that_is_given(
    network: NeXtTDNN, sounds: Float32
) -> None:
    narrow = FrontEndConfig(low_hz=200.0, high_hz=4000.0)
    model = answering(embedded(network, sounds, narrow)[0])
    given_it = measure_parity(network, model, [sounds[:1]], narrow)
    assert given_it.cosine_min == pytest.approx(1, abs=1e-6)
    assert measure_parity(network, model, [sounds[:1]]).cosine_min < 0.9999


def test_a_network_still_in_training_is_measured_as_it_will_serve(
    tiny_network: Callable[..., NeXtTDNN], network: NeXtTDNN, sounds: Float32
) -> None:
    model = answering(embedded(network, sounds)[0])
    training = tiny_network(light=True).train()
    before = {name: value.clone() for name, value in training.state_dict().items()}
    parity = measure_parity(training, model, [np.repeat(sounds[:1], 2, axis=0)])
    assert parity.cosine_min == pytest.approx(1, abs=1e-6)
    assert all(torch.equal(before[name], v) for name, v in training.state_dict().items())


@settings(max_examples=15)
@given(st.lists(st.integers(1, 200_000), min_size=1, max_size=6))
def test_windows_are_the_starts_of_the_voices_in_turn(lengths: list[int]) -> None:
    voices = [i * 1e6 + np.arange(n, dtype=np.float32) for i, n in enumerate(lengths)]
    batches = parity_batches([np.asarray(v, np.float32) for v in voices])
    shapes = [(size, int(s * RATE_HZ)) for s in PARITY_LENGTHS_S for size in PARITY_BATCHES]
    assert [batch.shape for batch in batches] == shapes
    assert {batch.dtype for batch in batches} == {np.dtype(np.float32)}
    windows = [window for batch in batches for window in batch]
    for turn, window in enumerate(windows):
        voice = turn % len(lengths)
        expected = voice * 1e6 + np.arange(len(window)) % lengths[voice]  # repeated if too short
        assert np.array_equal(window, expected)


def test_without_speech_the_voices_are_made_up_and_the_same_every_time() -> None:
    batches = parity_batches()
    for batch, again in zip(batches, parity_batches(), strict=True):
        assert np.array_equal(batch, again)
        assert 0.01 < batch.std() < 0.2
        assert np.abs(batch).max() < 1
    largest = batches[-1]
    assert len(largest) == max(PARITY_BATCHES)
    assert len(np.unique(largest, axis=0)) == len(largest)  # no voice twice
    # The longest window is of one piece: nothing in it is repeated.
    assert all(len(np.unique(voice)) > 0.9 * len(voice) for voice in largest)
