"""Whole recordings: the voiceprint of one, made as a live enrolment makes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.audio.files import read_audio
from engine.audio.pcm import PcmDecoder
from engine.enrolment import Enrolment
from engine.enrolment_demands import EnrolmentConfig
from engine.errors import AudioError, EngineError
from engine.events import Failure, RefusalCode, Refused
from engine.format import SAMPLE_RATE_HZ
from engine.jobs import Job, Result
from engine.scoring.scorer import CalibratedScorer
from engine.scoring.voiceprints import Prototype, Voiceprint
from engine.serving.inference import settle

Float32 = NDArray[np.float32]


class EnrolmentRefused(AudioError):
    """The recording cannot stand for a voice; ``code`` says why, as ``Refused`` does."""

    def __init__(self, code: RefusalCode, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def overruled(self) -> bool:
        """Whether ``allow_poor`` would have taken the recording all the same."""
        return self.code not in ("silent", "too-short")


def enrol_recording(
    path: Path,
    scorer: CalibratedScorer,
    respond: Callable[[Job], Result],
    *,
    config: EnrolmentConfig | None = None,
    kept: Voiceprint | None = None,
    channel: int | None = None,
) -> Prototype:
    """The voice in a sound file. Raises what :func:`read_audio` and :func:`enrol_waveform` raise.

    What was wrong with the recording is told with its name.
    """
    waveform = read_audio(path, channel=channel).waveform
    try:
        return enrol_waveform(waveform, scorer, respond, config=config, kept=kept)
    except EnrolmentRefused as error:
        raise EnrolmentRefused(error.code, f"{path}: {error}") from error


def enrol_waveform(
    waveform: Float32,
    scorer: CalibratedScorer,
    respond: Callable[[Job], Result],
    *,
    config: EnrolmentConfig | None = None,
    kept: Voiceprint | None = None,
) -> Prototype:
    """The voice in ``waveform`` ``(samples,)`` at 16 kHz; ``respond`` answers the engine's jobs.

    ``config`` and ``kept`` as of :class:`Enrolment`. Raises :class:`EnrolmentRefused`, and
    :class:`EngineError` where the model failed.
    """
    decoder = PcmDecoder("pcm_f32le", SAMPLE_RATE_HZ)
    enrolment = Enrolment(scorer, decoder=decoder, config=config, kept=kept)
    enrolment.receive_pcm(waveform.astype("<f4").tobytes())
    enrolment.receive_eof()
    for event in settle(enrolment, respond):
        if isinstance(event, Failure):
            raise EngineError(event.message)
        if isinstance(event, Refused):
            raise EnrolmentRefused(event.code, event.message)
    (prototype,) = enrolment.prototypes
    return prototype
