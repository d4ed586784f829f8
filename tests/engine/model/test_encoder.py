from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import AudioError, BundleError, ProviderError
from engine.model import encoder as module
from engine.model.bundle import Bundle, write_bundle
from engine.model.encoder import Encoder, embed_speech, hear_speech
from engine.model.frames import FramesOutput
from engine.model.manifest import MODEL_FILE, MagnitudeFigures
from engine.model.providers import LARGEST_BATCH
from engine.scoring.worth import unusual

RATE = 16000


@pytest.fixture(scope="module")
def encoder(spectral_bundle: Bundle) -> Encoder:
    return Encoder(spectral_bundle, "cpu")


def noise(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(shape)).astype(np.float32)


def test_embeddings_are_unit_rows(encoder: Encoder) -> None:
    found = encoder.embed(noise(3, 2 * RATE))
    assert found.shape == (3, encoder.embedding_size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_a_row_is_the_same_in_any_batch(encoder: Encoder) -> None:
    batch = noise(4, RATE)
    np.testing.assert_allclose(encoder.embed(batch)[2], encoder.embed(batch[2:3])[0], atol=1e-6)


def test_an_empty_batch_is_an_empty_answer(encoder: Encoder) -> None:
    assert encoder.embed(noise(0, RATE)).shape == (0, encoder.embedding_size)


def test_too_little_speech_is_said(encoder: Encoder) -> None:
    with pytest.raises(AudioError, match=r"only 0\.25 s of speech: at least 0\.5 s is needed"):
        encoder.embed(noise(1, RATE // 4))
    with pytest.raises(AudioError, match=r"only 0\.00 s"):
        embed_speech(encoder, noise(0))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_said(encoder: Encoder, bad: float) -> None:
    waveforms = noise(2, RATE)
    waveforms[1, 7] = bad
    with pytest.raises(AudioError, match="not finite"):
        encoder.embed(waveforms)


def test_a_wrong_shape_is_the_programmers_error(encoder: Encoder) -> None:
    with pytest.raises(ValueError, match=r"\(B, samples\)"):
        encoder.embed(noise(RATE))
    with pytest.raises(ValueError, match=r"\(samples,\)"):
        embed_speech(encoder, noise(1, RATE))


def test_a_batch_larger_than_the_largest_goes_in_pieces(encoder: Encoder) -> None:
    batch = noise(LARGEST_BATCH + 3, RATE)
    found = encoder.embed(batch)
    assert found.shape == (LARGEST_BATCH + 3, encoder.embedding_size)
    np.testing.assert_allclose(found[-1], encoder.embed(batch[-1:])[0], atol=1e-6)


def test_speech_up_to_the_largest_window_is_one_pass(encoder: Encoder) -> None:
    speech = noise(encoder.max_samples)
    np.testing.assert_array_equal(embed_speech(encoder, speech), encoder.embed(speech[None])[0])


@pytest.mark.parametrize("extra", [1, 16001, 250_000])
def test_longer_speech_is_the_mean_of_equal_windows(encoder: Encoder, extra: int) -> None:
    speech = noise(encoder.max_samples + extra, seed=extra)
    count = 2
    windows = speech[: len(speech) // count * count].reshape(count, -1)
    mean = encoder.embed(windows).mean(axis=0)
    found = embed_speech(encoder, speech)
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=1e-6)


def test_longer_speech_was_heard_as_its_windows_were(heard_bundle: Bundle) -> None:
    encoder = Encoder(heard_bundle, "cpu")
    speech = noise(2 * encoder.max_samples) * np.repeat(np.float32([1, 0.1]), encoder.max_samples)
    windows = encoder.hear(speech.reshape(2, -1))[1]
    assert windows[0, 0] - windows[1, 0] > 3
    *acoustics, magnitude = hear_speech(encoder, speech)[1]
    np.testing.assert_allclose(acoustics, windows[:, :-1].mean(axis=0), rtol=1e-5)
    assert np.all(np.isfinite(windows))
    assert np.isnan(magnitude)  # of a mean of unit embeddings
    figures = MagnitudeFigures(usual=2.5, slope=-0.1, weight=5.0)
    magnitude = hear_speech(encoder, speech, figures)[1][-1]
    window_s = encoder.max_samples / RATE
    parts = windows[:, -1] - (figures.usual + figures.slope * np.log(window_s))
    expected = MagnitudeFigures(usual=2.5 + parts.mean(), slope=-0.1, weight=5.0)
    assert unusual(expected, 2 * window_s, magnitude) == pytest.approx(0, abs=1e-5)


def test_a_graph_for_windows_does_not_say_how_it_heard(encoder: Encoder) -> None:
    embeddings, heard = encoder.hear(noise(3, RATE))
    np.testing.assert_array_equal(embeddings, encoder.embed(noise(3, RATE)))
    assert heard.shape == (3, 3)
    assert np.all(np.isnan(heard))
    assert encoder.hear(noise(0, RATE))[1].shape == (0, 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("head", [0, 1, 2])
def test_heads_that_are_not_finite_are_said_and_not_taken_for_clean_sound(
    head: int, bad: float, heard_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Encoder(heard_bundle, "cpu")
    answer = encoder._graph._answer

    def damaged(*asked: Any) -> FramesOutput:
        found = answer(*asked)
        found.heads[0, 8, head] = bad
        return found

    monkeypatch.setattr(encoder._graph, "_answer", damaged)
    states = np.zeros((1, heard_bundle.manifest.frames.state_size), np.float32)
    with pytest.raises(BundleError, match="gave a head that is not finite"):
        encoder.run_frames(noise(1, RATE), np.array([100]), states)
    if head > 0:
        with pytest.raises(BundleError, match="gave a head that is not finite"):
            encoder.hear(noise(1, RATE))


def test_very_long_speech_goes_in_several_calls(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    speech = noise(5 * encoder.max_samples - 3)
    at_once = embed_speech(encoder, speech)
    monkeypatch.setattr(module, "LONGEST_BATCH_S", 1.0)  # one window a call
    np.testing.assert_allclose(embed_speech(encoder, speech), at_once, atol=1e-6)


def test_a_failure_while_running_is_an_error_of_the_provider(
    spectral_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Encoder(spectral_bundle, "cpu")

    class OutOfMemory:
        def run(self, *_: object) -> None:
            raise RuntimeError("out of memory\nwith details")

    monkeypatch.setattr(encoder._graph, "call", OutOfMemory().run)
    with pytest.raises(ProviderError, match=r"'cpu' with input \(1, 16000\): out of memory$"):
        encoder.embed(np.zeros((1, 16000), np.float32))


def test_a_graph_that_is_no_graph_is_said(spectral_bundle: Bundle, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b", spectral_bundle.manifest, {MODEL_FILE: b"not a graph"})
    with pytest.raises(BundleError, match=r"cannot be loaded: [^\n]+$"):
        Encoder(bundle, "cpu")


def one_node_graph(operation: str, inputs: int, outputs: int) -> bytes:
    onnx = pytest.importorskip("onnx", reason="building a test graph needs onnx")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(operation, ["waveform"], ["embedding"])],
        "g",
        [helper.make_tensor_value_info("waveform", number, ["batch", *["n"] * inputs])],
        [helper.make_tensor_value_info("embedding", number, ["batch", *[outputs] * inputs])],
    )
    opset = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString())


@pytest.mark.parametrize(("axes", "size"), [(2, 24), (1, 23)])
def test_a_graph_of_another_shape_is_said(
    spectral_bundle: Bundle, tmp_path: Path, axes: int, size: int
) -> None:
    model = one_node_graph("Identity", axes, size)
    bundle = write_bundle(tmp_path / "b", spectral_bundle.manifest, {MODEL_FILE: model})
    with pytest.raises(BundleError, match="not the graph its manifest describes"):
        Encoder(bundle, "cpu")


def test_an_embedding_that_is_not_finite_is_an_error_not_a_score(
    spectral_bundle: Bundle, tmp_path: Path
) -> None:
    files = {MODEL_FILE: one_node_graph("Log", 1, 24)}
    bundle = write_bundle(tmp_path / "b", spectral_bundle.manifest, files)
    with pytest.raises(BundleError, match="not finite"):
        Encoder(bundle, "cpu").embed(-np.ones((1, RATE), np.float32))
