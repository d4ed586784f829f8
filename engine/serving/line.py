"""The jobs of one kind of stream that wait: detections that gather, windows by their deadline."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from engine.jobs import Job, Result, VadJob

CLOCK_S = 0.001  # uvloop's timers count whole milliseconds, so one may come that much early
MOST_PADDING = 0.25  # share of a bucket that may stay empty, so that 3 windows fill one of 4


@dataclass(frozen=True, slots=True)
class Gathering:
    """Bounds of a batch of detections, in streams and in frames, and seconds that frames gather."""

    rows: int = 128
    frames: int = 512  # of all streams, some 25 ms of one core
    wait_s: float = 0.04  # a part of every event's delay
    quiet_wait_s: float = 0.1  # the same for streams in which nobody speaks

    def __post_init__(self) -> None:
        if min(self.rows, self.frames) < 1:
            raise ValueError("the detector's bounds must be positive")


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


_Heap = list[tuple[float, int, QueuedJob]]  # of deadline in s, order of arrival, entry


class Line:
    """What waits. The caller numbers the entries in the order of their arrival."""

    def __init__(self, batch_sizes: Sequence[int], gathering: Gathering) -> None:
        self._batch_sizes, self._gathering = batch_sizes, gathering
        self._frames: _Heap = []  # bounded by the streams: a session has one detection at a time
        self._frames_held = 0
        self._windows: dict[int, _Heap] = {}  # by length in samples
        self.wake_s: float | None = None  # when the detections gathered by now are to run, if any
        self.queued = 0  # windows

    def add(self, entry: QueuedJob, number: int) -> None:
        """Put a job into the line."""
        if isinstance(entry.job, VadJob):
            heapq.heappush(self._frames, (entry.due_s, number, entry))
            self._frames_held += len(entry.job.frames)
            due = self._ripens(entry)
            self.wake_s = due if self.wake_s is None else min(due, self.wake_s)
            return
        heapq.heappush(
            self._windows.setdefault(len(entry.job.samples), []), (entry.due_s, number, entry)
        )
        self.queued += 1

    def hurry(self, stream: int, now: float) -> None:
        """Somebody waits for a detection of that stream, if one gathers: it is to run now."""
        if any(entry.stream == stream for _, _, entry in self._frames):
            self.wake_s = now

    def take(self, now: float, rows: int, frames: int) -> list[tuple[int, QueuedJob]]:
        """What is to run now, with the numbers; nothing while detections still gather.

        At most ``rows`` windows, or detections of at most ``frames`` frames.
        """
        if self._ripe(now):
            return list(self._take_frames(frames))
        return list(self._take_windows(rows)) if self.queued else []

    def drain(self) -> list[tuple[int, QueuedJob]]:
        """Take every job out, in order of arrival."""
        held = [item for heap in (self._frames, *self._windows.values()) for item in heap]
        self._frames, self._windows = [], {}
        self._frames_held = self.queued = 0
        self.wake_s = None
        return sorted(((number, entry) for _, number, entry in held), key=lambda item: item[0])

    def _ripens(self, entry: QueuedJob) -> float:
        """When a detection has waited long enough for others to go with it."""
        job, gathering = entry.job, self._gathering
        assert isinstance(job, VadJob)
        if job.urgent:
            return entry.arrived_s
        return entry.arrived_s + (gathering.quiet_wait_s if job.quiet else gathering.wait_s)

    def _ripe(self, now: float) -> bool:
        if self.wake_s is None:
            return False
        gathering = self._gathering
        full = len(self._frames) >= gathering.rows or self._frames_held >= gathering.frames
        return full or now >= self.wake_s - CLOCK_S

    def _take_frames(self, most: int) -> Iterator[tuple[int, QueuedJob]]:
        rows, room = 0, min(most, self._gathering.frames)
        while self._frames and rows < self._gathering.rows:
            job = self._frames[0][2].job
            assert isinstance(job, VadJob)
            if rows and len(job.frames) > room:
                break
            rows, room = rows + 1, room - len(job.frames)
            self._frames_held -= len(job.frames)
            yield heapq.heappop(self._frames)[1:]
        self.wake_s = min((self._ripens(e) for _, _, e in self._frames), default=None)

    def _take_windows(self, most: int) -> Iterator[tuple[int, QueuedJob]]:
        length = min(self._windows, key=lambda n: self._windows[n][0][:2])
        heap = self._windows[length]
        rows = best_bucket(min(len(heap), most), self._batch_sizes)
        self.queued -= rows
        for _ in range(rows):
            yield heapq.heappop(heap)[1:]
        if not heap:
            del self._windows[length]


def best_bucket(waiting: int, sizes: Sequence[int]) -> int:
    """How many of ``waiting`` windows to run at once, in a full bucket or one nearly full."""
    for size in sizes:
        if waiting <= size:
            if waiting >= size * (1 - MOST_PADDING):
                return waiting
            break
    return max((size for size in sizes if size <= waiting), default=waiting)
