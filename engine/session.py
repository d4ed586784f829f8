"""One stream, sans-IO: PCM and results in, jobs and events out.

    session.receive_pcm(data)            bytes of any size
    session.jobs_to_run()                what to compute next; each job is answered by
    session.receive_result(result)       its result, in any order
    session.receive_eof()
    session.events()                     what can be said by now

The events depend on the sound alone. Whatever arrives out of order waits in a line in
order of media time, so that neither the chunking, nor the batch a job ran in, nor the
time it took can change what is said.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.decisions import DecisionConfig, Judgement, Recent, Seen, judge
from engine.events import AnyEvent, Change, Decision, Failure, Score, Summary, Vad
from engine.gate import Gate, GateConfig, Verdict
from engine.pcm import PcmDecoder
from engine.scores import Scorer, Sides, posterior
from engine.vad import FRAME_SAMPLES, SAMPLE_RATE_HZ, VadState
from engine.windows import Window, WindowConfig, Windows

Float32 = NDArray[np.float32]

FRAMES_PER_JOB = 64  # a file sent at once is detected in pieces, not in one long call


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Everything a stream is configured by; see the parts."""

    gate: GateConfig = field(default_factory=GateConfig)
    windows: WindowConfig = field(default_factory=WindowConfig)
    decisions: DecisionConfig = field(default_factory=DecisionConfig)
    prior: float = 0.5


@dataclass(frozen=True, slots=True)
class VadJob:
    """Consecutive frames ``(N, 512)`` and the state before the first."""

    number: int
    frames: Float32
    state: VadState


@dataclass(frozen=True, slots=True)
class EmbedJob:
    """A window ``(samples,)`` to embed; ``due`` is the media sample at which it was complete."""

    number: int
    samples: Float32
    due: int


@dataclass(frozen=True, slots=True)
class VadResult:
    """Probabilities ``(N,)`` of a job's frames and the state after the last."""

    number: int
    probabilities: Float32
    state: VadState


@dataclass(frozen=True, slots=True)
class EmbedResult:
    """The unit embedding ``(D,)`` of a job's window."""

    number: int
    embedding: Float32


@dataclass(frozen=True, slots=True)
class JobFailure:
    """A job that could not be run, and why."""

    number: int
    message: str


Job = VadJob | EmbedJob
Result = VadResult | EmbedResult | JobFailure


class _End:
    """The last place in the line: what the summary says is known when it is reached."""


@dataclass(slots=True)
class _Awaited:
    """A window's place in the line, kept until its embedding is there."""

    window: Window
    result: EmbedResult | JobFailure | None = None


class Session:
    """The logic of one stream. ``claims`` maps speakers to their voiceprints.

    With ``claimed`` true every speaker is scored and the best of them answers the claim;
    otherwise the best of all enrolled is the answer to "who is it?". Without any
    voiceprint only speech and changes of voice are told.
    """

    def __init__(
        self,
        scorer: Scorer,
        claims: Mapping[str, Sides],
        *,
        decoder: PcmDecoder | None = None,
        config: SessionConfig | None = None,
        claimed: bool = True,
        model: str = "",
    ) -> None:
        scorer.require_calibration()
        self._scorer, self._claims, self._claimed = scorer, dict(claims), claimed
        self._config = config or SessionConfig()
        self._decoder = decoder or PcmDecoder()
        self._model = model
        self._gate, self._windows = Gate(self._config.gate), Windows(self._config.windows)
        self._vad_state = VadState.initial(1)
        self._unframed = np.zeros(0, np.float32)  # less than one frame, or not yet given out
        self._undecided = np.zeros(0, np.float32)  # sound the gate has not ruled on
        self._detecting: int | None = None  # number of the detection job under way
        self._jobs: deque[Job] = deque()
        self._number = 0
        self._line: deque[AnyEvent | _Awaited | _End] = deque()
        self._awaited: dict[int, _Awaited] = {}
        self._sequence = 0
        self._received = self._speech = 0
        self._eof = self._finished = False
        self._recent = Recent()
        self._state: tuple[str, str | None] | None = None
        self._match_s = 0.0
        self._match_from: float | None = None
        self._decisions: Counter[str] = Counter()

    def receive_pcm(self, data: bytes) -> None:
        """Sound of the stream's format. Raises :class:`AudioError` for what is not sound."""
        if self._eof:
            raise RuntimeError("the stream has ended: no sound can follow")
        self._take(self._decoder.feed(data))

    def receive_eof(self) -> None:
        """No more sound. The summary comes once every job has been answered."""
        if not self._eof:
            self._take(self._decoder.flush())
            self._eof = True
            self._detect()
            self._finish()

    def jobs_to_run(self) -> list[Job]:
        """Jobs not given out before. Each must be answered, by a result or a failure."""
        jobs, self._jobs = list(self._jobs), deque()
        return jobs

    def receive_result(self, result: Result) -> None:
        """The answer to a job. Raises ``KeyError`` for one that was not asked for."""
        if result.number == self._detecting:
            self._detected(result)
        elif isinstance(result, VadResult):
            raise KeyError(result.number)
        else:
            self._awaited.pop(result.number).result = result
        self._finish()

    def events(self) -> Iterator[AnyEvent]:
        """Events ready to be told, each once, in order."""
        while self._line:
            head = self._line[0]
            if isinstance(head, _Awaited):
                if head.result is None:
                    return
                self._line.popleft()
                self._line.extendleft(reversed(self._judged(head.window, head.result)))
                continue
            self._line.popleft()
            event = self._summary() if isinstance(head, _End) else head
            yield msgspec.structs.replace(event, seq=self._sequence)
            self._sequence += 1

    @property
    def waiting(self) -> bool:
        """Whether a job is unanswered."""
        return self._detecting is not None or bool(self._awaited)

    def _take(self, samples: Float32) -> None:
        self._received += len(samples)
        self._unframed = np.concatenate([self._unframed, samples])
        self._detect()

    def _detect(self) -> None:
        """Ask for the next frames' probabilities: one job at a time, the state is recurrent."""
        if self._detecting is not None:
            return
        count = min(len(self._unframed) // FRAME_SAMPLES, FRAMES_PER_JOB)
        if not count:
            return
        cut = count * FRAME_SAMPLES
        frames, self._unframed = self._unframed[:cut], self._unframed[cut:]
        self._undecided = np.concatenate([self._undecided, frames])
        self._detecting = self._next_number()
        shaped = frames.reshape(count, FRAME_SAMPLES)
        self._jobs.append(VadJob(self._detecting, shaped, self._vad_state))

    def _detected(self, result: Result) -> None:
        if not isinstance(result, VadResult):
            message = result.message if isinstance(result, JobFailure) else "not a detection"
            raise RuntimeError(f"speech detection failed, the stream cannot go on: {message}")
        self._detecting, self._vad_state = None, result.state
        for verdict in self._gate.feed(result.probabilities):
            self._ruled(verdict)
        self._detect()

    def _ruled(self, verdict: Verdict) -> None:
        """Sound up to the verdict's end is speech or silence: hand it on."""
        count = (verdict.end - verdict.start) * FRAME_SAMPLES
        samples, self._undecided = self._undecided[:count], self._undecided[count:]
        start, end = verdict.start * FRAME_SAMPLES, verdict.end * FRAME_SAMPLES
        if verdict.started:
            self._line.append(Vad(t=_seconds(end), speech=True, at=_seconds(start)))
        if verdict.kind == "speech":
            self._speech += count
            for window in self._windows.push(start, samples):
                self._embed(window)
        if verdict.ended:
            self._line.append(Vad(t=_seconds(end), speech=False, at=_seconds(end)))

    def _embed(self, window: Window) -> None:
        number = self._next_number()
        self._awaited[number] = awaited = _Awaited(window)
        self._line.append(awaited)
        self._jobs.append(EmbedJob(number, window.samples, window.end))

    def _judged(self, window: Window, result: EmbedResult | JobFailure) -> Sequence[AnyEvent]:
        t = _seconds(window.end)
        if isinstance(result, JobFailure):
            return [Failure(t=t, code="window-failed", message=result.message)]
        events: list[AnyEvent] = []
        change = self._changed(window, result.embedding)
        if change:
            events.append(change)
        if self._claims:
            events += self._scored(window, result.embedding)
        return events

    def _changed(self, window: Window, embedding: Float32) -> Change | None:
        length = len(window.samples)
        seen = Seen(window.start, window.end, window.position, length, embedding)
        before = self._recent.add(seen)
        if before is None:
            return None
        score = self._scorer.score(
            before.embedding, before.samples / SAMPLE_RATE_HZ, embedding, length / SAMPLE_RATE_HZ
        )
        assert score.llr is not None
        if score.llr > self._config.decisions.change_llr:
            return None
        self._recent.forget()
        self._recent.add(seen)
        at, now = _seconds(window.start), _seconds(window.end)
        left = self._state[1] if self._state and self._state[0] == "match" else None
        return Change(
            t=now, at=at, detected_at=now, llr=score.llr, from_speaker=left, to_speaker=None
        )

    def _scored(self, window: Window, embedding: Float32) -> list[AnyEvent]:
        window_s = len(window.samples) / SAMPLE_RATE_HZ
        test = self._scorer.sides(embedding[None], window_s)
        scores = []
        for speaker, voiceprint in self._claims.items():
            found = self._scorer.compare(voiceprint, test)
            assert found.llr is not None
            best = int(np.argmax(found.llr))  # several prototypes: the nearest speaks
            figures = float(found.cosine[best]), float(found.norm[best]), float(found.llr[best])
            scores.append((figures[2], speaker, figures))
        scores.sort(key=lambda s: (-s[0], s[1]))
        (llr, speaker, (cosine, norm, _)), t = scores[0], _seconds(window.end)
        told = Score(
            t=t,
            speaker=speaker,
            cosine=cosine,
            norm=norm,
            llr=llr,
            posterior=float(posterior(llr, self._config.prior)),
            runner_up=scores[1][1] if len(scores) > 1 else None,
            net_speech_s=_seconds(window.position),
            window_s=window_s,
        )
        judgement = judge(self._config.decisions, llr, window_s, claimed=self._claimed)
        decision = self._decided(t, judgement, speaker, told)
        return [told, decision] if decision else [told]

    def _decided(
        self, t: float, judgement: Judgement, speaker: str, score: Score
    ) -> Decision | None:
        if self._match_from is not None:
            self._match_s += t - self._match_from
        self._match_from = t if judgement.state == "match" else None
        named = speaker if self._claimed or judgement.state == "match" else None
        if (judgement.state, named) == self._state:
            return None
        self._state = (judgement.state, named)
        self._decisions[judgement.state] += 1
        return Decision(
            t=t,
            state=judgement.state,
            speaker=named,
            since=t,
            llr=score.llr,
            net_speech_s=score.net_speech_s,
            reason=judgement.reason,
        )

    def _finish(self) -> None:
        """After the last detection: close the gate, and put the end at the end of the line."""
        if not self._eof or self._finished or self._detecting is not None:
            return
        self._finished = True
        for verdict in self._gate.flush():
            self._ruled(verdict)
        self._line.append(_End())

    def _summary(self) -> Summary:
        return Summary(
            t=_seconds(self._received),
            received_s=_seconds(self._received),
            speech_s=_seconds(self._speech),
            match_s=round(self._match_s, 3),
            decisions=dict(self._decisions),
            model=self._model,
        )

    def _next_number(self) -> int:
        self._number += 1
        return self._number


def _seconds(samples: int) -> float:
    return samples / SAMPLE_RATE_HZ
