"""The logic of one enrolment, which takes in sound and ends in a prototype or a refusal.

It does no I/O and is driven as a session is (:mod:`engine.session`). Speech is embedded in
parts, which must be one voice before their mean stands for it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from engine.arrival.moments import Arrival
from engine.audio.levels import LevelMeter, LevelSums
from engine.audio.pcm import PcmDecoder
from engine.audio.quality import quality_figures
from engine.enrolment_demands import EnrolmentConfig, Refusal, length_refusal, sound_refusal
from engine.events import AnyEvent, Enrolled, Failure, Progress, Refused
from engine.format import FRAME_SAMPLES, SAMPLE_RATE_HZ, seconds
from engine.jobs import Job, Result
from engine.pipeline import Pipeline
from engine.scoring.one_voice import agreement, nearest_llr, one_voice_llr, unit_mean
from engine.scoring.scorer import CalibratedScorer
from engine.scoring.voiceprints import Prototype, Voiceprint
from engine.spans.of_bundle import spans_of
from engine.speech.segmenter import Span
from engine.speech.windows import WindowConfig
from engine.suspicions import Suspicions

Float32 = NDArray[np.float32]

STEP_SAMPLES = 16 * FRAME_SAMPLES  # 0.512 s of sound between two reports of progress
RECENT_STEPS = 4  # steps (2 s) whose quality a report tells, as the speaker can still change it


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the speech, ``[start, end)`` of it, of which ``samples`` are in no part before.

    It was complete at media sample ``at``.
    """

    start: int
    end: int
    samples: int
    at: int


@dataclass(frozen=True, slots=True)
class _Report:
    """The progress at the end of a step, and the sums over all the sound until then."""

    progress: Progress
    total: LevelSums


@dataclass(frozen=True, slots=True)
class _SumsAtEof:
    """The sound ends at ``t`` seconds, with the sums over all of it."""

    t: float
    total: LevelSums


_Item = _Part | _Report | _SumsAtEof


class Enrolment:
    """Gathers the speech of one person. Ends in ``Enrolled`` or ``Refused``.

    Either comes as soon as there is enough speech; sound that is sent later is ignored.
    ``kept`` are the prototypes it joins, whose voice it must be.
    """

    def __init__(
        self,
        scorer: CalibratedScorer,
        *,
        decoder: PcmDecoder | None = None,
        config: EnrolmentConfig | None = None,
        kept: Voiceprint | None = None,
    ) -> None:
        decoder = decoder or PcmDecoder()
        self._suspicions, self._offset = Suspicions(decoder), decoder.offset
        self._kept = None if kept is None else kept.prepare(scorer)
        self._config = config or EnrolmentConfig()
        part_s = self._config.part_s
        # All the speech is one turn: its parts run across pauses.
        self._speech = spans_of(scorer.bundle, WindowConfig(part_s, part_s, part_s))
        self._pipeline: Pipeline[_Item] = Pipeline(
            decoder, self._config.gate, self._speech, period=STEP_SAMPLES
        )
        self._eof = False
        self._scorer, self._part = scorer, _samples(part_s)
        self._needed = math.ceil(self._config.needed_s / part_s)
        self._given_out = 0  # samples of speech in the parts so far
        self._levels, self._heard_so_far = LevelMeter(), LevelSums()
        self._recent: deque[LevelSums] = deque(maxlen=RECENT_STEPS)
        self._total = LevelSums()  # over the sound whose items have come out of the pipeline
        self._parts: list[Float32] = []
        self._gathered = 0  # samples of speech in them
        self._reached = 0  # net speech up to the end of the last
        self.prototypes: tuple[Prototype, ...] = ()

    def begin(self, now: Arrival) -> None:
        """Does nothing: sound may be waited for."""

    def receive_pcm(self, data: bytes, arrived: Arrival | None = None) -> None:
        """Sound of the stream's format. Raises :class:`AudioError` for what is not sound."""
        if not self._pipeline.ended:
            self._suspicions.arrived(data, arrived)
            before = self._pipeline.received
            self._pipeline.receive_pcm(data, arrived)
            self._suspicions.take(before, self._pipeline.received)

    def pass_time(self, now: Arrival) -> None:
        """Does nothing: speech is gathered from as many turns as it takes."""

    @property
    def next_s(self) -> float | None:
        """Never: time without sound changes nothing."""
        return None

    def receive_eof(self) -> None:
        """No more sound follows. The outcome comes once every job has been answered."""
        self._hear(self._pipeline.receive_eof())

    def receive_result(self, result: Result) -> None:
        """The answer to a job. Raises what :meth:`Pipeline.receive_result` raises."""
        self._hear(self._pipeline.receive_result(result))

    def jobs_to_run(self) -> list[Job]:
        """Jobs not given out before. Each must be answered, by a result or a failure."""
        return self._pipeline.jobs_to_run()

    def events(self) -> Iterator[AnyEvent]:
        """Events ready to be told, each once, in order. The last is the outcome."""
        for item in self._pipeline.ready():
            yield from self._pipeline.in_order(self._tell(item))

    @property
    def waiting(self) -> bool:
        """Whether there is a job to run, or an unanswered one that the outcome waits for."""
        return self._pipeline.waiting

    @property
    def received_s(self) -> float:
        """Seconds of sound taken in so far."""
        return self._pipeline.received_s

    @property
    def backlog_s(self) -> float:
        """Seconds of sound taken in and not yet dealt with."""
        return self._pipeline.backlog_s

    def set_overload(self, hop_s: float, late_s: float) -> None:
        """Does nothing: parts do not overlap, so that an overloaded server can save none."""

    def _hear(self, spans: Iterable[Span]) -> None:
        for span in spans:
            self._hear_one(span)
        if self._pipeline.heard_all and not self._eof:
            self._eof = True
            self._embed_rest(round(self._pipeline.ruled_s * SAMPLE_RATE_HZ))
            total = self._heard_so_far + self._levels.take()
            self._pipeline.put(_SumsAtEof(self.received_s, total))

    def _hear_one(self, span: Span) -> None:
        self._levels.add(span.samples, speech=span.speech)
        if span.speech:
            for mark in self._speech.push(span.start, span.samples):
                self._embed_until(mark.position, mark.at)
        if len(span.samples) and span.end % STEP_SAMPLES == 0:
            self._pipeline.put(self._report(seconds(span.end)))

    def _embed_rest(self, at: int) -> None:
        """Speech too short for two parts is embedded to its end, if it is enough."""
        for mark in self._speech.end_turn(at):
            self._embed_until(mark.position, at)
        position = self._speech.position
        least = max(self._given_out + 1, _samples(self._config.min_s))
        if least <= position < 2 * self._part:
            self._embed(position, at)

    def _embed_until(self, position: int, at: int) -> None:
        """Parts that end by ``position``, which was known at media sample ``at``."""
        while self._given_out + self._part <= position:
            self._embed(self._given_out + self._part, at)

    def _embed(self, end: int, at: int) -> None:
        samples, self._given_out = end - self._given_out, end
        self._pipeline.put(_Part(max(0, end - self._part), end, samples, at), end)

    def _report(self, t: float) -> _Report:
        step = self._levels.take()
        self._heard_so_far += step
        self._recent.append(step)
        offset = self._offset.until(round(t * SAMPLE_RATE_HZ))
        found = quality_figures(reduce(add, self._recent), self._heard_so_far, offset)
        net_speech_s, needed_s = seconds(self._speech.position), self._config.needed_s
        suspicion = self._suspicions.current
        suspected = (suspicion.problem,) if suspicion and suspicion.sure else ()
        progress = Progress(
            t=t,
            net_speech_s=net_speech_s,
            needed_s=needed_s,
            percent=min(100, int(100 * net_speech_s / needed_s)),
            level_dbfs=found.level_dbfs,
            clipped=found.clipped,
            snr_db=found.snr_db,
            problems=(*found.problems, *suspected),
        )
        return _Report(progress, self._heard_so_far)

    def _tell(self, item: _Item) -> Iterable[AnyEvent]:
        match item:
            case _Report():
                self._total = item.total
                return [item.progress]
            case _Part():
                return self._gather(item)
            case _SumsAtEof():
                self._total = item.total
                return [self._outcome(item.t)]

    def _gather(self, part: _Part) -> list[AnyEvent]:
        t, failure = seconds(part.at), self._speech.failure(part.start, part.end)
        if failure is not None:  # the enrolment goes on, and more speech makes up for it
            return [Failure(t=t, code="window-failed", message=failure)]
        self._reached = part.end
        self._parts.extend(self._speech.heard([(part.start, part.end)])[0])
        self._gathered += part.samples
        return [self._outcome(t)] if len(self._parts) == self._needed else []

    def _outcome(self, t: float) -> Enrolled | Refused:
        self._pipeline.end()
        refusal = self._form_refusal()
        refusal = refusal or length_refusal(self._total, self._gathered, self._config)
        if refusal is None and not self._config.allow_poor:
            refusal = sound_refusal(self._total) or self._voice_refusal()
        if refusal is not None:
            code, message = refusal
            return Refused(t=t, code=code, message=message)
        parts, speech_s = np.stack(self._parts), seconds(self._gathered)
        (whole,), _ = self._speech.heard([(0, self._reached)])
        self.prototypes = (Prototype(whole, speech_s),)
        return Enrolled(t=t, net_speech_s=speech_s, prototypes=1, agreement=agreement(parts))

    def _form_refusal(self) -> Refusal | None:
        """The sound is not what was declared. Of its rate a doubt is enough at the end."""
        suspicion = self._suspicions.current
        if suspicion is None or not (suspicion.sure or suspicion.problem == "rate-suspect"):
            return None
        return "wrong-format", suspicion.advice

    def _voice_refusal(self) -> Refusal | None:
        parts, part_s = np.stack(self._parts), self._config.part_s
        compared = self._gathered >= _samples(2 * part_s)  # with less the parts overlap
        if compared and one_voice_llr(self._scorer, parts, part_s) < self._config.one_voice_llr:
            return "several-voices", (
                "more than one voice was heard: enrol one person alone, without a radio or others"
                " nearby"
            )
        if self._kept is None:
            return None
        llr = nearest_llr(self._scorer, self._kept, unit_mean(parts), seconds(self._gathered))
        if llr >= self._config.one_voice_llr:
            return None
        count = len(self._kept.embeddings)
        before = "the recording" if count == 1 else f"all {count} recordings"
        return "several-voices", (
            f"this is another voice than in {before} it was to join (LLR {llr:.1f}): check who"
            " speaks in each, and give every person a name of their own"
        )


def _samples(length_s: float) -> int:
    return round(length_s * SAMPLE_RATE_HZ)
