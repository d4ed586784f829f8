"""What a session and an enrolment have in common: sound and results in, jobs and events out.

The events depend on the sound alone. Whatever arrives out of order waits in a line in
order of media time, so that neither the chunking, nor the batch a job ran in, nor the
time it took can change what is said.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import msgspec

from engine.audio.pcm import PcmDecoder
from engine.audio.quality import Meter
from engine.events import AnyEvent
from engine.format import seconds
from engine.jobs import EmbedJob, EmbedResult, Job, JobFailure, Result, VadResult
from engine.speech.gate import GateConfig
from engine.speech.segmenter import Listener, Stretch
from engine.speech.windows import Window

Item = TypeVar("Item")


class Exchange(ABC, Generic[Item]):
    """One stream, sans-IO. A subclass puts items into the line and turns them into events.

    ``meter`` may be set to take the peaks of the sound; it never affects what is said.
    """

    def __init__(self, decoder: PcmDecoder | None, gate: GateConfig, *, period: int) -> None:
        self._listener = Listener(decoder or PcmDecoder(), gate, period=period)
        self.meter: Meter | None = None
        self._number = 0
        self._jobs: list[EmbedJob] = []
        self._line: deque[tuple[Item, int | None]] = deque()  # with the job it waits for
        self._asked: dict[int, int] = {}  # unanswered embeddings: job number to media sample
        self._answers: dict[int, EmbedResult | JobFailure] = {}
        self._told: deque[AnyEvent] = deque()
        self._sequence, self._t = 0, 0.0
        self._finished = False
        self._last_told = False  # a subclass sets it when it has said the last of it

    def receive_pcm(self, data: bytes) -> None:
        """Sound of the stream's format. Raises :class:`AudioError` for what is not sound."""
        samples = self._listener.receive_pcm(data)
        if self.meter is not None:
            self.meter.add(samples)

    def receive_eof(self) -> None:
        """No more sound. The last event comes once every job has been answered."""
        self._heard(self._listener.receive_eof())

    def jobs_to_run(self) -> list[Job]:
        """Jobs not given out before. Each must be answered, by a result or a failure."""
        jobs: list[Job] = [*self._jobs]
        self._jobs.clear()
        if self._last_told:
            return []
        detection = self._listener.job(self._number + 1)
        if detection is not None:
            self._number += 1
            jobs.append(detection)
        return jobs

    def receive_result(self, result: Result) -> None:
        """The answer to a job. Raises ``KeyError`` for one that was not asked for.

        A detection that failed raises ``RuntimeError``: the stream cannot go on.
        """
        if self._listener.detecting(result.number):
            if not isinstance(result, VadResult):
                message = result.message if isinstance(result, JobFailure) else "not a detection"
                raise RuntimeError(f"speech detection failed, the stream cannot go on: {message}")
            self._heard(self._listener.receive_result(result))
        elif isinstance(result, VadResult):
            raise KeyError(result.number)
        else:
            del self._asked[result.number]
            self._answers[result.number] = result

    def events(self) -> Iterator[AnyEvent]:
        """Events ready to be told, each once, in order."""
        while self._told or self._advance():
            if self._told:
                event = self._told.popleft()
                # Nothing is told before what stands ahead of it in the line.
                self._t = max(self._t, event.t)
                yield msgspec.structs.replace(event, seq=self._sequence, t=self._t)
                self._sequence += 1

    @property
    def waiting(self) -> bool:
        """Whether there is a job to run or unanswered without which the end cannot come."""
        return not self._last_told and (self._listener.waiting or bool(self._asked))

    @property
    def ended(self) -> bool:
        """Whether the last event was given out: whatever is still answered says nothing more."""
        return self._last_told and not self._told

    @property
    def received_s(self) -> float:
        """Sound taken in so far."""
        return seconds(self._listener.received)

    @property
    def backlog_s(self) -> float:
        """Sound taken in and not yet dealt with: what a sender that is too fast runs up."""
        oldest = next(iter(self._asked.values()), self._listener.ruled)
        return seconds(self._listener.received - min(oldest, self._listener.ruled))

    def _ask(self, window: Window, item: Item) -> None:
        """Have a window embedded; ``item`` keeps its place in the line."""
        self._number += 1
        self._jobs.append(EmbedJob(self._number, window.samples, window.end))
        self._asked[self._number] = window.end
        self._line.append((item, self._number))

    def _put(self, item: Item) -> None:
        """Something to tell once everything before it was told."""
        self._line.append((item, None))

    def _heard(self, stretches: Iterable[Stretch]) -> None:
        for stretch in stretches:
            self._hear(stretch)
        if self._listener.finished and not self._finished:
            self._finished = True
            self._finish()

    def _advance(self) -> bool:
        """Turn the head of the line into events; whether it was there and answered."""
        if not self._line or self._last_told:
            return False
        item, number = self._line[0]
        if number is not None and number not in self._answers:
            return False
        self._line.popleft()
        answer = None if number is None else self._answers.pop(number)
        self._told.extend(self._tell(item, answer))
        return True

    @abstractmethod
    def _hear(self, stretch: Stretch) -> None:
        """Sound that is known to be speech or silence, in order."""

    @abstractmethod
    def _tell(self, item: Item, answer: EmbedResult | JobFailure | None) -> Iterable[AnyEvent]:
        """What there is to say when the line has come to ``item``."""

    @abstractmethod
    def _finish(self) -> None:
        """All the sound has been heard, once; embeddings may still be under way."""
