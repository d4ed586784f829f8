"""Conversations through the real engine, deterministic, and what it said of them.

A conversation is computed once and heard often: the answers to a session's jobs are kept, so
that other claims and other error rates cost no inference. The engine that decides is the one
that serves: :class:`engine.session.Session`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count, pairwise

import numpy as np
from numpy.typing import NDArray

from engine.audio.pcm import PcmDecoder
from engine.decisions.config import DecisionConfig
from engine.enrolment_demands import EnrolmentConfig
from engine.events import AnyEvent, Change, Decision, Overlap, Score, State, Utterance, Vad
from engine.format import SAMPLE_RATE_HZ
from engine.jobs import EmbedJob, FramesResult, Job, JobFailure, Result, VadJob
from engine.model.bundle import Bundle
from engine.model.encoder import Encoder, ProviderChoice
from engine.recordings import EnrolmentRefused, enrol_waveform
from engine.scoring.scorer import CalibratedScorer, PreparedEmbeddings
from engine.scoring.voiceprints import Voiceprint
from engine.serving.inference import answer_one, settle
from engine.session import Session
from engine.session_config import SessionConfig
from engine.speech.vad import SileroVad
from models.benchmark.plans import ENROL_S
from models.evaluation.rttm import Turn, Turns

CLAIMED = "claimed"  # the name of the voiceprint: people's own names mean nothing here
OVERLAPPED = "overlap"  # whoever speaks at the same time as the only voice that is known

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


class AnswerCache:
    """The models' answers for one conversation: each job is computed once.

    A window is known by its end and length: the last so many samples of net speech before
    that moment. What has states, the detector and a frames graph, is asked in the same order
    every time.
    """

    def __init__(self, encoder: Encoder, vad: SileroVad) -> None:
        self._encoder, self._vad = encoder, vad
        self._windows: dict[tuple[int, int], Result] = {}
        self._detections: list[Result] = []
        self._frames: list[Result] = []

    def run(self, session: Session, waveform: Float32) -> list[AnyEvent]:
        """Every event of the session over the ``waveform``."""
        session.receive_pcm(waveform.astype("<f4").tobytes())
        session.receive_eof()
        detected, framed = count(), count()
        return list(settle(session, lambda job: self._answer(job, detected, framed)))

    def _answer(self, job: Job, detected: Iterator[int], framed: Iterator[int]) -> Result:
        if isinstance(job, EmbedJob):
            key = job.due, len(job.samples)
            if key not in self._windows:
                self._windows[key] = self._computed(job)
            return replace(self._windows[key], number=job.number)
        vad = isinstance(job, VadJob)
        answers, index = (self._detections, next(detected)) if vad else (self._frames, next(framed))
        if index == len(answers):
            if answers and isinstance(answers[-1], FramesResult):  # its states have been used
                answers[-1] = replace(answers[-1], states=np.zeros(0, np.float32))
            answers.append(self._computed(job))
        return replace(answers[index], number=job.number)

    def _computed(self, job: Job) -> Result:
        result = answer_one(job, self._encoder, self._vad)
        if isinstance(result, JobFailure):
            raise RuntimeError(f"a job of the benchmark failed: {result.message}")
        return result


@dataclass(frozen=True, slots=True)
class TurnVerdict:
    """A turn, in seconds of media, and what it was judged to be by its own speech."""

    start_s: float
    end_s: float
    state: State


@dataclass(frozen=True, slots=True, eq=False)
class SessionRecord:
    """What the engine said of one conversation; times in seconds of media.

    ``spans`` ``(S, 2)`` are its speech; ``states`` decisions and alarms; ``t``, ``llr``, ``cosine``
    and ``window_s`` ``(K,)`` its scores. ``changes`` are moments of change as it dated them,
    with the moment it told of them; ``turns`` who it heard when, ``verdicts`` those on turns,
    ``overlaps`` who else it takes to have spoken where two spoke at once.
    """

    spans: Float64
    states: tuple[tuple[float, State], ...]
    t: Float64
    llr: Float64
    cosine: Float64
    window_s: Float64
    changes: Float64
    turns: Turns
    verdicts: tuple[TurnVerdict, ...] = ()
    overlaps: Turns = ()


def record_of(events: list[AnyEvent]) -> SessionRecord:
    """The record of a session's events."""
    scores = [event for event in events if isinstance(event, Score)]
    changes = [event for event in events if isinstance(event, Change)]
    edges = [event.at for event in events if isinstance(event, Vad)]
    spans = list(zip(edges[::2], edges[1::2], strict=True))
    turns = _turns(spans, changes)
    return SessionRecord(
        spans=np.array(spans, np.float64).reshape(-1, 2),
        states=_states(events),
        t=np.array([score.t for score in scores], np.float64),
        llr=np.array([score.llr for score in scores], np.float64),
        cosine=np.array([score.cosine for score in scores], np.float64),
        window_s=np.array([score.window_s for score in scores], np.float64),
        changes=np.array([(c.at, c.detected_at) for c in changes], np.float64).reshape(-1, 2),
        turns=turns,
        verdicts=tuple(
            TurnVerdict(event.start, event.end, event.state)
            for event in events
            if isinstance(event, Utterance)
        ),
        overlaps=_overlaps(events, turns),
    )


def _states(events: list[AnyEvent]) -> tuple[tuple[float, State], ...]:
    """Decisions in order. A change of voice while a match holds is an alarm, for a moment at
    least: whoever is told of another voice has been alarmed, whatever is decided of it."""
    states: list[tuple[float, State]] = []
    for event in events:
        state = states[-1][1] if states else "insufficient"
        if isinstance(event, Decision):
            states.append((event.t, event.state))
        elif isinstance(event, Change) and state == "match":
            states += [(event.t, "uncertain"), (event.t, "match")]
    return tuple(states)


def _turns(spans: list[tuple[float, float]], changes: list[Change]) -> Turns:
    """The engine's speech, divided where it dated changes of voice and named as it named them."""
    cuts = sorted((change.at, change.to_speaker or f"part-{i}") for i, change in enumerate(changes))
    first = next((c.from_speaker for c in changes if c.from_speaker), None) or "part"
    turns = []
    for start, end in spans:
        inside = [start, *(at for at, _ in cuts if start < at < end), end]
        for a, b in pairwise(inside):
            before = [name for at, name in cuts if at <= a]
            turns.append(Turn(a, b, before[-1] if before else first))
    return tuple(turns)


def _overlaps(events: list[AnyEvent], turns: Turns) -> Turns:
    """Where two spoke at once: the second is the one heard nearest to it, besides the first."""
    spans = [(e.start, e.end) for e in events if isinstance(e, Overlap) and e.end is not None]
    found = []
    for start, end in spans:
        near = sorted(turns, key=lambda turn: max(turn.start_s - end, start - turn.end_s))
        others = [turn.speaker for turn in near if turn.speaker != near[0].speaker]
        found.append(Turn(start, end, others[0] if others else OVERLAPPED))
    return tuple(found)


class EngineUnderTest:
    """Detector, encoder and scorer of one bundle. Serves any number of threads."""

    def __init__(self, bundle: Bundle, provider: ProviderChoice = "cpu") -> None:
        self.bundle = bundle
        self.encoder = Encoder(bundle, provider)
        self.vad = SileroVad()
        self.scorer = CalibratedScorer(bundle)

    def answer_cache(self) -> AnswerCache:
        """An empty cache, for one conversation."""
        return AnswerCache(self.encoder, self.vad)

    def enrol(self, waveform: Float32) -> tuple[PreparedEmbeddings, float] | str:
        """A voiceprint and its net speech in seconds, or why the engine refused it.

        As `voxwatch enroll` does, but that 5 s of speech are enough instead of 10.
        """
        config = EnrolmentConfig(needed_s=ENROL_S[1], min_s=ENROL_S[0])
        try:
            made = enrol_waveform(
                waveform,
                self.scorer,
                lambda job: answer_one(job, self.encoder, self.vad),
                config=config,
            )
        except EnrolmentRefused as refused:
            return refused.code
        return Voiceprint(CLAIMED, (made,)).prepare(self.scorer), made.speech_s

    def listen(
        self,
        answers: AnswerCache,
        waveform: Float32,
        claim: PreparedEmbeddings | None,
        decisions: DecisionConfig | None = None,
    ) -> SessionRecord:
        """What a session says that is asked whether it is still ``claim``, or who speaks when."""
        enrolled: Mapping[str, PreparedEmbeddings] = {} if claim is None else {CLAIMED: claim}
        config = SessionConfig() if decisions is None else SessionConfig(decisions=decisions)
        session = Session(
            self.scorer, enrolled, decoder=_decoder(), config=config, claimed=claim is not None
        )
        return record_of(answers.run(session, waveform))


def _decoder() -> PcmDecoder:
    return PcmDecoder("pcm_f32le", SAMPLE_RATE_HZ)
