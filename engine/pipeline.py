"""A session and an enrolment each have a pipeline: one stream's sound, its jobs and their order.

Sound and results go in. Spans of speech and silence come out as soon as they are known,
and items, which their owner puts in, come out in the order of media time, each once the place in
the speech that it waits for is known. So neither the chunking, nor the batch a job
ran in, nor the time it took can change what is said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import msgspec

from engine.arrival.moments import Arrival, Moments
from engine.audio.pcm import PcmDecoder
from engine.audio.quality import PeakMeter
from engine.audio.recent import RecentSound
from engine.events import AnyEvent, Event
from engine.format import SAMPLE_RATE_HZ, seconds
from engine.jobs import Job, JobFailure, Result, VadResult
from engine.spans.interface import SpeechEmbeddings
from engine.speech.gate import GateConfig
from engine.speech.segmenter import Segmenter, Span

Item = TypeVar("Item")
Told = TypeVar("Told", bound=Event)


class Pipeline(Generic[Item]):
    """The sound, the jobs and the items of one stream. It does no I/O.

    ``speech`` is what embeds the stream's speech, which the owner pushes. Spans never cross a
    multiple of ``period`` samples. ``meter`` may be set to take the peaks of the sound, and
    ``recent`` to keep its last seconds. They never affect the events.
    """

    def __init__(
        self,
        decoder: PcmDecoder | None,
        gate: GateConfig,
        speech: SpeechEmbeddings,
        *,
        period: int,
    ) -> None:
        self._segmenter = Segmenter(decoder or PcmDecoder(), gate, period=period)
        self.meter: PeakMeter | None = None
        self.recent: RecentSound | None = None
        self._speech = speech
        self._number = 0
        self._items: deque[tuple[Item, int]] = deque()  # with the net speech that it waits for
        self._t = 0.0  # media time of the newest event, in seconds
        self._moments = Moments()
        self.ended = False

    def receive_pcm(self, data: bytes, arrived: Arrival | None = None) -> None:
        """Sound of the stream's format. Raises :class:`AudioError` for what is not sound.

        Events of sound that ``arrived`` at a time tell its time of day.
        """
        samples = self._segmenter.receive_pcm(data)
        if arrived is not None:
            self.pass_time(arrived)
        if self.meter is not None:
            self.meter.add(samples)
        if self.recent is not None:
            self.recent.add(samples)

    def pass_time(self, now: Arrival) -> None:
        """So late it is, and all the sound so far has come."""
        self._moments.note(self.received, now.unix_s)

    def pause(self) -> Iterator[Span]:
        """The sound that follows was said later. Gives the spans that are known now."""
        yield from self._segmenter.pause()

    def settle(self) -> Iterator[Span]:
        """Somebody waits for what is known of the sound so far. Gives the spans known now."""
        yield from self._segmenter.settle()

    def wait_for(self, place: int) -> None:
        """Silence up to media sample ``place`` ends a turn, for whose verdict somebody waits."""
        self._segmenter.wait_for(place)

    def receive_eof(self) -> Iterator[Span]:
        """No more sound follows. Gives the spans that are known now."""
        yield from self._segmenter.receive_eof()

    def receive_result(self, result: Result) -> Iterator[Span]:
        """The answer to a job, and the spans that are known now.

        Raises ``KeyError`` for a job that was not asked for. A detection that failed raises
        ``RuntimeError``: the stream cannot go on.
        """
        if self._segmenter.detecting(result.number):
            if not isinstance(result, VadResult):
                message = result.message if isinstance(result, JobFailure) else "not a detection"
                raise RuntimeError(f"speech detection failed, the stream cannot go on: {message}")
            yield from self._segmenter.receive_result(result)
        elif isinstance(result, VadResult):
            raise KeyError(result.number)
        else:
            self._speech.receive_result(result)

    def jobs_to_run(self) -> list[Job]:
        """Jobs not given out before. Each must be answered, by a result or a failure."""
        if self.ended:
            return []
        jobs = self._speech.jobs(self._number + 1)
        self._number += len(jobs)
        detection = self._segmenter.job(self._number + 1)
        if detection is not None:
            self._number += 1
            jobs.append(detection)
        return jobs

    def put(self, item: Item, position: int = 0) -> None:
        """An item that comes out when spans that end by ``position`` can be asked for.

        It waits for those before it as well.
        """
        self._items.append((item, position))

    def ready(self) -> Iterator[Item]:
        """Items that wait for nothing any more, each once, in order."""
        while self._items and not self.ended:
            item, position = self._items[0]
            if position > self._speech.ready:
                return
            self._items.popleft()
            yield item
            if position:
                self._speech.settle(position)

    def in_order(self, events: Iterable[AnyEvent]) -> Iterator[AnyEvent]:
        """The events of an item, none of them with an earlier time than the event before it."""
        for event in events:
            yield self.timed(event)

    def timed(self, event: Told) -> Told:
        """The event at the time of day of its sound, and no earlier than the event before it."""
        self._t = max(self._t, event.t)
        at_time = self._moments.of(round(self._t * SAMPLE_RATE_HZ)) or msgspec.UNSET
        if event.t == self._t and at_time is msgspec.UNSET:
            return event
        return msgspec.structs.replace(event, t=self._t, at_time=at_time)

    def end(self) -> None:
        """The last event is being told. Answers that come later bring no more items."""
        self.ended = True

    @property
    def heard_all(self) -> bool:
        """Whether the sound has ended and spans have covered all of it."""
        return self._segmenter.finished

    @property
    def waiting(self) -> bool:
        """Whether there is a job to run, or an unanswered one that the end has to wait for."""
        unanswered = self._speech.waiting_since is not None
        return not self.ended and (self._segmenter.waiting or unanswered)

    @property
    def ruled_s(self) -> float:
        """Seconds of sound that spans have covered."""
        return seconds(self._segmenter.ruled)

    @property
    def ruled(self) -> int:
        """Samples of sound that spans have covered."""
        return self._segmenter.ruled

    @property
    def paused(self) -> int:
        """The sample at which a pause would be now."""
        return self._segmenter.paused

    @property
    def received(self) -> int:
        """Samples of sound taken in so far."""
        return self._segmenter.received

    @property
    def received_s(self) -> float:
        """Seconds of sound taken in so far."""
        return seconds(self._segmenter.received)

    @property
    def backlog_s(self) -> float:
        """Seconds of sound taken in and not yet dealt with, which a fast sender runs up."""
        oldest, ruled = self._speech.waiting_since, self._segmenter.ruled
        return seconds(self._segmenter.received - min(ruled if oldest is None else oldest, ruled))
