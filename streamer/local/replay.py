"""A file through the live engine, in-process: `voxwatch replay`.

The engine hears what a live stream would give it, piece by piece, and says what it would
have said: the same file gives the same lines every time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.audio.files import read_audio
from engine.audio.pcm import PcmDecoder
from engine.enrolment_demands import SHORT_ENROLMENT, EnrolmentConfig
from engine.errors import VoxwatchError
from engine.events import AnyEvent
from engine.format import SAMPLE_RATE_HZ
from engine.jobs import Job, Result
from engine.model.backend import OnnxBackend
from engine.model.bundle import load_bundle
from engine.model.providers import ProviderChoice
from engine.recordings import EnrolmentRefused, enrol_recording
from engine.scoring.scorer import CalibratedScorer, PreparedEmbeddings
from engine.scoring.voiceprints import Voiceprint
from engine.serving.inference import answer_one, settle
from engine.session import Session
from engine.session_config import SessionConfig
from engine.speech.vad import SileroVad

PIECE_SAMPLES = SAMPLE_RATE_HZ // 10


@dataclass(frozen=True, slots=True)
class EnrolmentRecording:
    """A speaker's name and one recording of the voice."""

    name: str
    path: Path


def parse_enrolment(text: str) -> EnrolmentRecording:
    """``NAME=FILE``; raises :class:`VoxwatchError` for anything else."""
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        raise VoxwatchError(f"--enroll wants NAME=FILE, as in anna=anna.wav, not {text!r}")
    return EnrolmentRecording(name, Path(path))


def chosen(
    enrolled: Mapping[str, PreparedEmbeddings], claim: str | Sequence[str]
) -> dict[str, PreparedEmbeddings]:
    """Those of ``enrolled`` who are claimed, by one name or several; nobody: there is no claim.

    Raises :class:`VoxwatchError` for somebody who is not enrolled.
    """
    names = [claim] if isinstance(claim, str) else claim
    for name in names:
        if name not in enrolled:
            known = ", ".join(sorted(enrolled)) or "nobody"
            raise VoxwatchError(f"{name!r} is not enrolled: --enroll names {known}")
    return {name: enrolled[name] for name in names}


class Replay:
    """Detector, backend and scorer of one bundle, to replay any number of files."""

    def __init__(self, bundle: Path | None = None, provider: ProviderChoice = "cpu") -> None:
        self.bundle = load_bundle(bundle)
        self.model = f"{self.bundle.manifest.name} {self.bundle.manifest.version}"
        self.backend = OnnxBackend(self.bundle, provider)
        self.scorer = CalibratedScorer(self.bundle)
        self.vad = SileroVad()

    def enrol(
        self,
        enrolments: Sequence[EnrolmentRecording],
        *,
        channel: int | None = None,
        allow_poor: bool = False,
    ) -> dict[str, PreparedEmbeddings]:
        """Voiceprints by name; a speaker's recordings stay separate prototypes.

        Raises :class:`AudioError` for a recording that is unreadable or refused as
        `voxwatch enroll` refuses it, but that 3 s of speech are enough, and with ``allow_poor``
        the model's smallest window.
        """
        least_s = self.bundle.manifest.min_window_s
        poor = EnrolmentConfig(min_s=least_s, allow_poor=True)
        config = poor if allow_poor else SHORT_ENROLMENT
        voices: dict[str, Voiceprint] = {}
        for name, path in ((enrolment.name, enrolment.path) for enrolment in enrolments):
            kept = voices.get(name)
            try:
                prototype = enrol_recording(
                    path, self.scorer, self._answer, config=config, kept=kept, channel=channel
                )
            except EnrolmentRefused as error:
                if not error.overruled:
                    raise
                hint = "or use it all the same with --allow-poor"
                raise EnrolmentRefused(error.code, f"{error}, {hint}") from error
            voices[name] = Voiceprint(name, (*(kept.prototypes if kept else ()), prototype))
        return {name: voice.prepare(self.scorer) for name, voice in voices.items()}

    def events(
        self,
        path: Path,
        enrolled: dict[str, PreparedEmbeddings],
        claim: str | Sequence[str] = (),
        *,
        channel: int | None = None,
        config: SessionConfig | None = None,
    ) -> Iterator[AnyEvent]:
        """What the engine says of ``path``: of the claim, or without one of all enrolled."""
        claims = chosen(enrolled, claim)
        waveform = read_audio(path, channel=channel).waveform
        session = Session(
            self.scorer,
            claims or enrolled,
            decoder=PcmDecoder("pcm_f32le", SAMPLE_RATE_HZ),
            config=config,
            claimed=bool(claims),
            model=self.model,
        )
        for start in range(0, len(waveform), PIECE_SAMPLES):
            session.receive_pcm(waveform[start : start + PIECE_SAMPLES].astype("<f4").tobytes())
            yield from settle(session, self._answer)
        session.receive_eof()
        yield from settle(session, self._answer)

    def _answer(self, job: Job) -> Result:
        return answer_one(job, self.backend, self.vad)
