"""Net speech: silence cut, nothing else touched, the same in company as alone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.audio.pcm import PcmDecoder
from engine.format import FRAME_SAMPLES, SAMPLE_RATE_HZ
from engine.jobs import VadResult, VadState
from engine.speech.gate import GateConfig
from engine.speech.offline import CLOSE_CUT, net_speech, speech_mask
from engine.speech.segmenter import Segmenter
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


def frames_kept(probabilities: list[float], gate: GateConfig | None) -> list[bool]:
    samples = len(probabilities) * FRAME_SAMPLES - 100  # the last frame is not whole
    (mask,) = speech_mask([np.ones(samples, np.float32)], ScriptedVad(probabilities), gate)
    assert len(mask) == samples
    frames = [mask[i : i + FRAME_SAMPLES] for i in range(0, samples, FRAME_SAMPLES)]
    assert all(frame.all() == frame.any() for frame in frames)
    return [bool(frame.any()) for frame in frames]


@pytest.mark.parametrize("at", [0, 5, 9])
def test_data_is_cut_close_to_every_frame_of_speech(at: int) -> None:
    probabilities = [0.0] * 10
    probabilities[at] = 0.9
    kept = frames_kept(probabilities, CLOSE_CUT)
    assert kept == [abs(frame - at) <= CLOSE_CUT.padding_frames for frame in range(10)]
    assert not any(frames_kept(probabilities, None))  # one frame of speech opens no live gate


@given(st.lists(st.sampled_from([0.0, 0.4, 0.49, 0.51, 0.9]), min_size=1, max_size=40))
def test_the_close_cut_is_speech_and_its_padding_and_no_more(probabilities: list[float]) -> None:
    padding = CLOSE_CUT.padding_frames
    around = [
        any(p > 0.5 for p in probabilities[max(0, i - padding) : i + padding + 1])
        for i in range(len(probabilities))
    ]
    assert frames_kept(probabilities, CLOSE_CUT) == around


@given(st.lists(st.sampled_from([0.0, 0.4, 0.9]), min_size=1, max_size=60))
def test_unless_told_otherwise_silence_is_cut_as_in_a_live_stream(
    probabilities: list[float],
) -> None:
    decoder = PcmDecoder("pcm_f32le", SAMPLE_RATE_HZ)
    live = Segmenter(decoder, GateConfig(), period=FRAME_SAMPLES)
    live.receive_pcm(np.ones(len(probabilities) * FRAME_SAMPLES - 100, "<f4").tobytes())
    spans = list(live.receive_eof())
    left = iter(probabilities)
    for number in count():
        if (job := live.job(number)) is None:
            break
        found = np.fromiter(left, np.float32, len(job.frames))
        spans += live.receive_result(VadResult(number, found, job.state))
    speech = sum(len(span.samples) for span in spans if span.speech)
    sound = np.ones(len(probabilities) * FRAME_SAMPLES - 100, np.float32)
    assert len(net_speech(sound, ScriptedVad(probabilities))) == speech
