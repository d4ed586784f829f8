"""The detector: stateless, batched, and the same network as the package it comes from."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import BundleError
from engine.format import FRAME_SAMPLES
from engine.jobs import VadState
from engine.speech import vad as vad_module
from engine.speech.vad import SileroVad, silero_path

Float32 = NDArray[np.float32]

REFERENCE = """
import sys, numpy as np, torch
from silero_vad.utils_vad import OnnxWrapper
torch.set_num_threads(1)
model = OnnxWrapper(sys.argv[1], force_onnx_cpu=True)
frames = torch.from_numpy(np.load(sys.argv[2]))
np.save(sys.argv[3], np.array([model(frame[None], 16000).item() for frame in frames]))
"""


def probabilities(vad: SileroVad, streams: Float32) -> Float32:
    """``(B, frames)`` of ``streams`` ``(B, frames, 512)``."""
    state = VadState.initial(len(streams))
    columns = []
    for i in range(streams.shape[1]):
        column, state = vad(streams[:, i], state)
        columns.append(column)
    return np.stack(columns, axis=1)


def framed(waveform: Float32) -> Float32:
    return waveform[: len(waveform) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)


def test_a_stream_has_the_probabilities_it_has_alone(
    vad: SileroVad, voice: Callable[..., Float32]
) -> None:
    streams = np.stack(
        [framed(voice(name, 3.0, seed=s)) for name in ("anna", "bert") for s in (0, 1)]
    )
    together = probabilities(vad, streams)
    for i, stream in enumerate(streams):
        np.testing.assert_allclose(together[i : i + 1], probabilities(vad, stream[None]), atol=1e-5)


def test_a_call_leaves_its_arguments_alone(vad: SileroVad, voice: Callable[..., Float32]) -> None:
    frames = framed(voice("anna", 1.0))[:1]
    state = VadState.initial(1)
    first, after = vad(frames, state)
    assert not state.lstm.any()
    assert not state.context.any()
    assert after.lstm.any()
    np.testing.assert_array_equal(first, vad(frames, state)[0])


def test_a_voice_is_speech_and_hiss_is_not(vad: SileroVad, voice: Callable[..., Float32]) -> None:
    hiss = np.random.default_rng(0).normal(0, 0.01, 48000).astype(np.float32)
    streams = np.stack([framed(voice("bert", 3.0)), framed(hiss)])
    speech, noise = np.median(probabilities(vad, streams), axis=1)
    assert speech > 0.5 > 0.2 > noise


def test_a_missing_network_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(vad_module, "__file__", str(tmp_path / "vad.py"))
    with pytest.raises(BundleError, match=r"pip install --editable"):
        SileroVad()


@pytest.mark.parametrize("shape", [(512,), (1, 256), (2, 1, 512)])
def test_frames_of_another_shape_are_refused(vad: SileroVad, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="frames must be"):
        vad(np.zeros(shape, np.float32), VadState.initial(1))


def test_it_agrees_with_the_package_it_comes_from(
    vad: SileroVad, voice: Callable[..., Float32], tmp_path: Path
) -> None:
    frames = framed(voice("anna", 2.0))
    np.save(tmp_path / "frames.npy", frames)
    # In a process of its own: that package imports torch, which this room never does.
    arguments = [str(silero_path()), str(tmp_path / "frames.npy"), str(tmp_path / "out.npy")]
    subprocess.run([sys.executable, "-W", "ignore", "-c", REFERENCE, *arguments], check=True)
    ours = probabilities(vad, frames[None])[0]
    np.testing.assert_allclose(ours, np.load(tmp_path / "out.npy"), atol=1e-5)


def test_streams_of_any_length_together_are_as_frame_by_frame_alone(
    vad: SileroVad, voice: Callable[..., Float32]
) -> None:
    lengths = (3, 20, 1, 7, 20)
    streams = [framed(voice("anna", 2.0, seed=i))[:n] for i, n in enumerate(lengths)]
    before = [vad(framed(voice("bert", 1.0, seed=i))[:1], VadState.initial(1))[1] for i in range(5)]
    for i, (probability, after) in enumerate(vad.detect(streams, before)):
        state = before[i]
        for t, frame in enumerate(streams[i]):
            one, state = vad(frame[None], state)
            assert probability[t] == pytest.approx(one[0], abs=1e-5)
        assert len(probability) == lengths[i]
        np.testing.assert_allclose(after.lstm, state.lstm, atol=1e-5)
        np.testing.assert_array_equal(after.context, state.context)


def test_a_stream_without_a_frame_is_the_programmers_error(vad: SileroVad) -> None:
    with pytest.raises(ValueError, match="every stream needs a frame"):
        vad.detect([np.zeros((0, FRAME_SAMPLES), np.float32)], [VadState.initial(1)])
    with pytest.raises(ValueError, match="every stream needs a frame"):
        vad.detect([], [])
