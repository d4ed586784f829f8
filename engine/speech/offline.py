"""Finds which samples of a whole recording are speech, by the gate that live streams use.

Net speech is what is left when silence is cut out. Every duration that a score is calibrated
for counts net speech, not seconds on the clock.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.format import FRAME_SAMPLES
from engine.jobs import VadState
from engine.speech.gate import Gate, GateConfig
from engine.speech.vad import SileroVad

# Training data, trials and the sources of benchmarks are cut by this gate, and their figures rest
# on it. A single frame of speech counts, and pauses of more than 128 ms are cut. The gate of live
# streams bridges pauses of up to 224 ms and drops single frames.
CLOSE_CUT = GateConfig(
    open_probability=0.5, close_probability=0.5, open_frames=1, close_frames=2, padding_frames=2
)

Bools = NDArray[np.bool_]
Float32 = NDArray[np.float32]


def speech_mask(
    waveforms: list[Float32], vad: SileroVad, gate: GateConfig | None = None
) -> list[Bools]:
    """Sample masks of speech, one for each waveform at 16 kHz, of any lengths.

    Without ``gate`` it is that of live streams.
    """
    probabilities = _probabilities(waveforms, vad)
    return [_mask(row, len(w), gate) for row, w in zip(probabilities, waveforms, strict=True)]


def net_speech(waveform: Float32, vad: SileroVad, gate: GateConfig | None = None) -> Float32:
    """The speech of ``waveform`` ``(samples,)`` at 16 kHz, its silence cut out.

    It is empty when the detector finds none, as silence is never passed off as speech.
    """
    (mask,) = speech_mask([waveform], vad, gate)
    return waveform[mask]


def _probabilities(waveforms: list[Float32], vad: SileroVad) -> Float32:
    """The probability of speech in every frame, ``(N, frames)``, ends filled up with zeros."""
    frames = max(-(-len(w) // FRAME_SAMPLES) for w in waveforms)
    batch = np.zeros((len(waveforms), frames, FRAME_SAMPLES), np.float32)
    for row, waveform in zip(batch, waveforms, strict=True):
        row.reshape(-1)[: len(waveform)] = waveform
    state = VadState.initial(len(waveforms))
    found = np.empty((len(waveforms), frames), np.float32)
    for i in range(frames):
        found[:, i], state = vad(batch[:, i], state)
    return found


def _mask(probabilities: Float32, samples: int, config: GateConfig | None) -> Bools:
    """The mask of a recording of ``samples``, by the probabilities of its frames."""
    gate, frames = Gate(config), -(-samples // FRAME_SAMPLES)
    speech = np.zeros(frames, np.bool_)
    for frame_spans in (gate.feed(probabilities[:frames].tolist()), gate.flush()):
        for span in frame_spans:
            speech[span.start : span.end] = span.kind == "speech"
    return np.repeat(speech, FRAME_SAMPLES)[:samples]
