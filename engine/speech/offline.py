"""Which samples of a recording are speech: one rule for training, verification and figures.

Net speech is what is left when the detector's silence is cut out. Every duration that a
score is calibrated for counts net speech, not seconds on the clock.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.format import FRAME_SAMPLES
from engine.jobs import VadState
from engine.speech.vad import SileroVad

SPEECH_THRESHOLD = 0.5
MIN_ENROL_SPEECH_S = 3.0  # a shorter voiceprint says little about the voice on any other day
PADDING_FRAMES = 2  # 64 ms kept on both sides: onsets and closures carry the voice too

Float32 = NDArray[np.float32]


def speech_mask(
    waveforms: list[Float32], vad: SileroVad, threshold: float = SPEECH_THRESHOLD
) -> list[NDArray[np.bool_]]:
    """Sample masks of speech, one for each waveform (16 kHz, any lengths)."""
    frames = max(-(-len(w) // FRAME_SAMPLES) for w in waveforms)
    batch = np.zeros((len(waveforms), frames, FRAME_SAMPLES), np.float32)
    for row, waveform in zip(batch, waveforms, strict=True):
        row.reshape(-1)[: len(waveform)] = waveform
    state = VadState.initial(len(waveforms))
    probability = np.empty((len(waveforms), frames), np.float32)
    for i in range(frames):
        probability[:, i], state = vad(batch[:, i], state)
    speech = probability > threshold
    padded = speech.copy()
    for shift in range(1, PADDING_FRAMES + 1):
        padded[:, shift:] |= speech[:, :-shift]
        padded[:, :-shift] |= speech[:, shift:]
    samples = np.repeat(padded, FRAME_SAMPLES, axis=1)
    return [samples[i, : len(w)] for i, w in enumerate(waveforms)]


def net_speech(waveform: Float32, vad: SileroVad) -> Float32:
    """The speech of ``waveform`` ``(samples,)`` at 16 kHz, its silence cut out.

    Empty when the detector finds none: what is not speech is never passed off as speech.
    """
    (mask,) = speech_mask([waveform], vad)
    return waveform[mask]
