"""Net speech: silence cut, nothing else touched, the same in company as alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.format import FRAME_SAMPLES, SAMPLE_RATE_HZ
from engine.jobs import VadState
from engine.speech.offline import PADDING_FRAMES, net_speech, speech_mask
from engine.speech.vad import SileroVad

Float32 = NDArray[np.float32]
Voice = Callable[..., Float32]


def hush(seconds: float, seed: int = 0) -> Float32:
    size = round(seconds * SAMPLE_RATE_HZ)
    return np.random.default_rng(seed).normal(0, 1e-3, size).astype(np.float32)


def test_silence_around_a_voice_is_cut(vad: SileroVad, voice: Voice) -> None:
    spoken = voice("anna", 4.0)
    alone = len(net_speech(spoken, vad))
    among = len(net_speech(np.concatenate([hush(3), spoken, hush(5)]), vad))
    assert alone > 2 * SAMPLE_RATE_HZ
    assert abs(among - alone) < SAMPLE_RATE_HZ // 2


def test_noise_holds_no_speech(vad: SileroVad) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 4 * SAMPLE_RATE_HZ).astype(np.float32)
    assert net_speech(noise, vad).shape == (0,)


def test_net_speech_is_the_masked_waveform_in_order(vad: SileroVad, voice: Voice) -> None:
    waveform = np.concatenate([hush(1), voice("bert", 3.0), hush(1)])
    (mask,) = speech_mask([waveform], vad)
    assert mask.shape == waveform.shape
    np.testing.assert_array_equal(net_speech(waveform, vad), waveform[mask])


def test_a_mask_does_not_depend_on_its_batch(vad: SileroVad, voice: Voice) -> None:
    waveforms = [voice("anna", 2.0), hush(0.7), voice("bert", 3.3), voice("anna", 0.01)]
    together = speech_mask(waveforms, vad)
    for waveform, mask in zip(waveforms, together, strict=True):
        np.testing.assert_array_equal(mask, speech_mask([waveform], vad)[0])


class ScriptedVad(SileroVad):
    """Says what it is told, frame by frame."""

    def __init__(self, probabilities: list[float]) -> None:
        self._left = iter(probabilities)

    def __call__(self, frames: Float32, state: VadState) -> tuple[Float32, VadState]:
        return np.full(len(frames), next(self._left), np.float32), state


@pytest.mark.parametrize("at", [0, 5, 9])
def test_speech_keeps_its_padding_on_both_sides_and_stops_at_the_ends(at: int) -> None:
    probabilities = [0.0] * 10
    probabilities[at] = 0.9
    (mask,) = speech_mask([np.ones(10 * FRAME_SAMPLES, np.float32)], ScriptedVad(probabilities))
    frames = mask.reshape(10, FRAME_SAMPLES)
    assert (frames.all(axis=1) == frames.any(axis=1)).all()
    kept = set(np.flatnonzero(frames[:, 0]))
    assert kept == set(range(max(0, at - PADDING_FRAMES), min(9, at + PADDING_FRAMES) + 1))


def test_the_threshold_is_exclusive() -> None:
    scripted = ScriptedVad([0.5, 0.5])
    (mask,) = speech_mask([np.ones(2 * FRAME_SAMPLES, np.float32)], scripted)
    assert not mask.any()
