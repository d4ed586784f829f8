"""Decides which jobs of all streams run next.

    scheduler.add(entry)            a job of some stream
    scheduler.next_batch(now)       what a free thread should run, or None
    scheduler.wake_s(files)         when to ask again, if nothing else happens
    scheduler.review(now)           the hop that live streams must keep, if it changes

Times are passed in, and nothing here computes: there is no clock and no model.
Live streams come first, and files have what is left: while anybody is live their batches are small,
so that none holds up a live job for long, and one batch in sixteen is theirs whatever waits. A
batch holds live jobs or those of files, never both.
Detection comes first within each: it is cheap and everything else waits for it. It gathers the
frames of many streams for a moment, because one call over ten streams costs half of ten calls.
Windows go in the order of their deadlines; the most urgent one chooses the length, and its
batch is filled with windows of that length. A chunk of frames is a window of a stream here, of
which there is one at a time: the next one needs the states that it leaves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.errors import EngineError
from engine.jobs import Job, VadJob
from engine.serving.line import Gathering, Line, QueuedJob
from engine.serving.overload import Overload, OverloadConfig

FILES_TURN = 16  # one batch in so many is for files, though live jobs wait
LIVE_S = 2.0  # after its last job a live stream still counts as one


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """``batch_sizes`` ascends. A batch of files has at most ``file_rows`` windows or
    ``file_frames`` frames while anybody is live.
    """

    batch_sizes: tuple[int, ...] = (1,)
    capacity: int = 1024  # windows in the queue; more are refused
    gathering: Gathering = field(default_factory=Gathering)
    file_rows: int = 4
    file_frames: int = 128
    overload: OverloadConfig = field(default_factory=OverloadConfig)

    def __post_init__(self) -> None:
        if not self.batch_sizes or list(self.batch_sizes) != sorted(set(self.batch_sizes)):
            raise ValueError("batch sizes must be ascending")
        if min(self.batch_sizes[0], self.capacity, self.file_rows, self.file_frames) < 1:
            raise ValueError("batch sizes and capacity must be positive")


@dataclass(frozen=True, slots=True)
class Batch:
    """Detections of any lengths, or windows of one length, most urgent first."""

    entries: tuple[QueuedJob, ...]

    @property
    def jobs(self) -> list[Job]:
        return [entry.job for entry in self.entries]

    @property
    def live(self) -> bool:
        """Whether they are of live streams; otherwise they are of files."""
        return self.entries[0].live


class Full(EngineError):
    """There is no room for another window."""


class Scheduler:
    """The queue of jobs of all streams."""

    def __init__(self, config: SchedulerConfig | None = None) -> None:
        self._config = config or SchedulerConfig()
        self._live_line, self._file_line = (
            Line(self._config.batch_sizes, self._config.gathering) for _ in range(2)
        )
        self._count = 0
        self._since_files = 0  # batches of live jobs
        self._live_s = float("-inf")  # when a live job last came
        self._due: dict[int, float] = {}  # arrival number -> due of live windows, oldest first
        self.overload = Overload(self._config.overload)

    @property
    def queued(self) -> int:
        """Windows in the queue."""
        return self._live_line.queued + self._file_line.queued

    def wake_s(self, files: bool = True) -> float | None:
        """When the detections gathered by now are to run, if there are any."""
        lines = (self._live_line, self._file_line) if files else (self._live_line,)
        return min((line.wake_s for line in lines if line.wake_s is not None), default=None)

    def anybody_live(self, now: float) -> bool:
        """Whether there are live streams, for which files make room."""
        return now < self._live_s + LIVE_S

    def add(self, entry: QueuedJob) -> None:
        """Put a job into the queue. Raises :class:`Full` for a window beyond the capacity."""
        window = not isinstance(entry.job, VadJob)
        if window and self.queued >= self._config.capacity:
            raise Full("the server is overloaded: there is no room for another window")
        self._count += 1
        if not entry.live:
            self._file_line.add(entry, self._count)
            return
        self._live_line.add(entry, self._count)
        self._live_s = max(self._live_s, entry.arrived_s)
        if window:
            self._due[self._count] = entry.due_s

    def hurry(self, stream: int, now: float) -> None:
        """Somebody waits for a detection of that stream, if one gathers."""
        for line in (self._live_line, self._file_line):
            line.hurry(stream, now)

    def next_batch(self, now: float, files: bool = True) -> Batch | None:
        """What to run now, or ``None`` if there is nothing or detections are still gathering.

        Without ``files`` only what is live.
        """
        if files and self._since_files >= FILES_TURN and (batch := self._take_files(now)):
            return batch
        return self._take_live(now) or (self._take_files(now) if files else None)

    def review(self, now: float) -> float | None:
        """The hop that live streams must keep from now on, if that changed; 0 is their own."""
        late = now - next(iter(self._due.values())) if self._due else 0.0
        return self.overload.review(now, late)

    def discard(self, stream: int) -> None:
        """Forget the jobs of a stream that has gone."""
        entries = [e for e in self.drain() if e.stream != stream]
        for entry in entries:
            self.add(entry)

    def drain(self) -> list[QueuedJob]:
        """Take every job out of the queue, in order of arrival."""
        held = [*self._live_line.drain(), *self._file_line.drain()]
        self._due.clear()
        return [entry for _, entry in sorted(held, key=lambda item: item[0])]

    def _take_live(self, now: float) -> Batch | None:
        taken = self._live_line.take(
            now, self._config.batch_sizes[-1], self._config.gathering.frames
        )
        for number, entry in taken:
            if self._due.pop(number, None) is not None:
                self.overload.started(now - entry.due_s)
        self._since_files += bool(taken)
        return Batch(tuple(entry for _, entry in taken)) if taken else None

    def _take_files(self, now: float) -> Batch | None:
        config = self._config
        bounds = (
            (config.file_rows, config.file_frames)
            if self.anybody_live(now)
            else (config.batch_sizes[-1], config.gathering.frames)
        )
        taken = self._file_line.take(now, *bounds)
        self._since_files = 0 if taken else self._since_files
        return Batch(tuple(entry for _, entry in taken)) if taken else None
