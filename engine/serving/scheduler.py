"""Decides which jobs of all streams run next.

    scheduler.add(entry)            a job of some stream
    scheduler.next_batch(now)       what a free thread should run, or None
    scheduler.wake_s                when to ask again, if nothing else happens
    scheduler.review(now)           the hop that live streams must keep, if it changes

Times are passed in, and nothing here computes: there is no clock and no model.
Detection comes first: it is cheap and everything else waits for it. It gathers the frames
of many streams for a moment, because one call over ten streams costs half of ten calls.
Windows go in the order of their deadlines; the most urgent one chooses the length, and its
batch is filled with windows of that length. A chunk of frames is a window of a stream here, of
which there is one at a time: the next one needs the states that it leaves.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from engine.errors import EngineError
from engine.jobs import Job, Result, VadJob
from engine.serving.overload import Overload, OverloadConfig

CLOCK_S = 0.001  # uvloop's timers count whole milliseconds, so one may come that much early
MOST_PADDING = 0.25  # share of a bucket that may stay empty, so that 3 windows fill one of 4


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """``batch_sizes`` ascends. ``vad_rows`` and ``vad_frames`` bound a batch of detections."""

    batch_sizes: tuple[int, ...] = (1,)
    capacity: int = 1024  # windows in the queue; more are refused
    vad_rows: int = 128  # streams in one batch
    vad_frames: int = 512  # frames of all streams in one batch, some 25 ms of one core
    vad_wait_s: float = 0.04  # seconds that frames gather, a part of every event's delay
    vad_quiet_wait_s: float = 0.1  # the same for streams in which nobody speaks
    overload: OverloadConfig = field(default_factory=OverloadConfig)

    def __post_init__(self) -> None:
        if not self.batch_sizes or list(self.batch_sizes) != sorted(set(self.batch_sizes)):
            raise ValueError("batch sizes must be ascending")
        if min(self.batch_sizes[0], self.capacity, self.vad_rows, self.vad_frames) < 1:
            raise ValueError("batch sizes, capacity and the detector's bounds must be positive")


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job in the queue. ``arrived_s`` and ``due_s`` are on the caller's clock, in seconds.

    ``stream`` is the number of the stream it belongs to; only ``live`` ones count as late.
    ``answered`` is called with it and its result.
    """

    stream: int
    job: Job
    arrived_s: float
    due_s: float
    live: bool
    answered: Callable[[QueuedJob, Result], None] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Batch:
    """Detections of any lengths, or windows of one length, most urgent first."""

    entries: tuple[QueuedJob, ...]

    @property
    def jobs(self) -> list[Job]:
        return [entry.job for entry in self.entries]


class Full(EngineError):
    """There is no room for another window."""


_Line = list[tuple[float, int, QueuedJob]]  # a heap of deadline in s, order of arrival, entry


class Scheduler:
    """The queue of jobs of all streams."""

    def __init__(self, config: SchedulerConfig | None = None) -> None:
        self._config = config or SchedulerConfig()
        self._count = 0
        self._frames: _Line = []  # bounded by the streams: a session has one detection at a time
        self._frames_held = 0
        self._frames_due: float | None = None  # when those gathered by now are to run
        self._windows: dict[int, _Line] = {}  # by length in samples; bounded by `capacity`
        self._live: dict[int, float] = {}  # arrival number -> due of live windows, oldest first
        self._queued = 0
        self.overload = Overload(self._config.overload)

    @property
    def queued(self) -> int:
        """Windows in the queue."""
        return self._queued

    @property
    def wake_s(self) -> float | None:
        """When the detections gathered by now are to run, if there are any."""
        return self._frames_due

    def add(self, entry: QueuedJob) -> None:
        """Put a job into the queue. Raises :class:`Full` for a window beyond the capacity."""
        self._count += 1
        if isinstance(entry.job, VadJob):
            heapq.heappush(self._frames, (entry.due_s, self._count, entry))
            self._frames_held += len(entry.job.frames)
            due = self._ripens(entry)
            self._frames_due = due if self._frames_due is None else min(due, self._frames_due)
            return
        if self._queued >= self._config.capacity:
            raise Full("the server is overloaded: there is no room for another window")
        line = self._windows.setdefault(len(entry.job.samples), [])
        heapq.heappush(line, (entry.due_s, self._count, entry))
        self._queued += 1
        if entry.live:
            self._live[self._count] = entry.due_s

    def next_batch(self, now: float) -> Batch | None:
        """What to run now, or ``None`` if there is nothing or detections are still gathering."""
        if self._ripe(now):
            return Batch(tuple(self._take_frames()))
        if self._queued:
            return Batch(tuple(self._take_windows(now)))
        return None

    def review(self, now: float) -> float | None:
        """The hop that live streams must keep from now on, if that changed; 0 is their own."""
        late = now - next(iter(self._live.values())) if self._live else 0.0
        return self.overload.review(now, late)

    def discard(self, stream: int) -> None:
        """Forget the jobs of a stream that has gone."""
        entries = [e for e in self.drain() if e.stream != stream]
        for entry in entries:
            self.add(entry)

    def drain(self) -> list[QueuedJob]:
        """Take every job out of the queue, in order of arrival."""
        held = [item for line in (self._frames, *self._windows.values()) for item in line]
        self._frames, self._windows, self._live = [], {}, {}
        self._frames_held = self._queued = 0
        self._frames_due = None
        return [entry for _, _, entry in sorted(held, key=lambda item: item[1])]

    def _ripens(self, entry: QueuedJob) -> float:
        """When a detection has waited long enough for others to go with it."""
        quiet = isinstance(entry.job, VadJob) and entry.job.quiet
        config = self._config
        return entry.arrived_s + (config.vad_quiet_wait_s if quiet else config.vad_wait_s)

    def _ripe(self, now: float) -> bool:
        wake_s = self.wake_s
        if wake_s is None:
            return False
        config = self._config
        full = len(self._frames) >= config.vad_rows or self._frames_held >= config.vad_frames
        return full or now >= wake_s - CLOCK_S

    def _take_frames(self) -> Iterable[QueuedJob]:
        taken: list[QueuedJob] = []
        room = self._config.vad_frames
        while self._frames and len(taken) < self._config.vad_rows:
            job = self._frames[0][2].job
            assert isinstance(job, VadJob)
            if taken and len(job.frames) > room:
                break
            room -= len(job.frames)
            self._frames_held -= len(job.frames)
            taken.append(heapq.heappop(self._frames)[2])
        self._frames_due = min((self._ripens(e) for _, _, e in self._frames), default=None)
        return taken

    def _take_windows(self, now: float) -> Iterable[QueuedJob]:
        length = min(self._windows, key=lambda n: self._windows[n][0][:2])
        line = self._windows[length]
        taken = []
        for _ in range(best_bucket(len(line), self._config.batch_sizes)):
            due_s, number, entry = heapq.heappop(line)
            taken.append(entry)
            if self._live.pop(number, None) is not None:
                self.overload.started(now - due_s)
        self._queued -= len(taken)
        if not line:
            del self._windows[length]
        return taken


def best_bucket(waiting: int, sizes: Sequence[int]) -> int:
    """How many of ``waiting`` windows to run at once, in a full bucket or one nearly full."""
    for size in sizes:
        if waiting <= size:
            if waiting >= size * (1 - MOST_PADDING):
                return waiting
            break
    return max((size for size in sizes if size <= waiting), default=waiting)
