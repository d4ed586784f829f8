"""The threads that run the models, and the queue before them.

Everything but the models runs on the event loop. The loop hands out batches through a queue
and gets answers back through ``call_soon_threadsafe``. The scheduler decides what runs next
and :mod:`engine.serving.inference` computes it. Every job is answered, by its result or by a
failure that says why, unless its stream has gone.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from engine.errors import EngineError
from engine.jobs import JobFailure, VadJob
from engine.model.backend import Backend
from engine.serving.inference import Answers, answer
from engine.serving.leisure import Leisure
from engine.serving.line import QueuedJob
from engine.serving.scheduler import Batch, Scheduler, SchedulerConfig
from engine.speech.vad import SileroVad

CLOSED = "the engine was closed"
SPEAKING_S = 10.0  # after its last window was answered a stream counts as silent: two long hops


@dataclass(slots=True)
class PoolCounts:
    """What a pool has done since its start.

    ``batch_sizes`` counts batches of windows by their rows; ``vad_calls`` the detector's
    network calls, each over one frame of many streams; ``late`` those of the ``live_windows`` that
    were answered after their deadline; ``live_s`` how long threads have worked for live streams.
    The CPU seconds are those of the inference threads themselves: a backend that has threads of its
    own (``threads`` above 1) works outside them.
    """

    windows: int = 0
    batch_sizes: Counter[int] = field(default_factory=Counter)
    frames: int = 0
    vad_calls: int = 0
    longest_wait_s: float = 0.0
    late: int = 0
    live_windows: int = 0
    model_cpu_s: float = 0.0
    vad_cpu_s: float = 0.0
    live_s: float = 0.0
    failures: int = 0

    def add(self, batch: Batch, answers: Answers, now: float) -> None:
        """Count a batch that was answered at ``now`` seconds on the loop's clock."""
        self.failures += sum(isinstance(result, JobFailure) for result in answers.results)
        if isinstance(batch.entries[0].job, VadJob):
            self.frames += answers.frames
            self.vad_calls += answers.calls
            self.vad_cpu_s += answers.cpu_s
            return
        self.batch_sizes[len(batch.entries)] += 1
        self.windows += len(batch.entries)
        oldest_s = min(entry.arrived_s for entry in batch.entries)
        self.longest_wait_s = max(self.longest_wait_s, now - oldest_s)
        self.live_windows += len(batch.entries) if batch.live else 0
        self.late += sum(entry.live and now > entry.due_s for entry in batch.entries)
        self.model_cpu_s += answers.cpu_s


class InferencePool:
    """Runs queued jobs on ``threads`` threads and calls each job's ``answered`` on the loop.

    ``overload_changed`` is called with the hop in seconds that live streams must keep from now
    on (0 is their own) and with how late the server is, in seconds, when that hop changes.
    """

    def __init__(
        self,
        backend: Backend,
        vad: SileroVad,
        *,
        threads: int,
        config: SchedulerConfig,
        overload_changed: Callable[[float, float], None],
    ) -> None:
        self._backend, self._vad = backend, vad
        self._scheduler = Scheduler(config)
        self._overload_changed = overload_changed
        self._work: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()  # one for a free thread
        self._threads = [
            threading.Thread(target=self._serve, name=f"inference-{i}", daemon=True)
            for i in range(threads)
        ]
        self._idle = self._alive = threads
        self._file_batches = 0  # that run
        self.leisure = Leisure(lambda: self.anybody_live)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s: float | None = None  # loop time; uvloop's handles do not always know it
        self._dispatching = self._closed = False
        self._spoke_s: dict[int, float] = {}  # live streams, and when a window was last answered
        self.counts = PoolCounts()

    @property
    def threads(self) -> int:
        """How many threads run the models."""
        return len(self._threads)

    @property
    def queued(self) -> int:
        """Windows in the queue."""
        return self._scheduler.queued

    @property
    def hop_s(self) -> float:
        """The hop in seconds that live streams must keep now; 0 is their own."""
        return self._scheduler.overload.hop_s

    @property
    def late_s(self) -> float:
        """How late live windows were at the last review, in seconds."""
        return self._scheduler.overload.late_s

    @property
    def anybody_live(self) -> bool:
        """Whether there are live streams, for which files make room."""
        return self._scheduler.anybody_live(self.now())

    @property
    def speaking(self) -> int:
        """In how many live streams somebody speaks: those with windows in the last seconds."""
        since = self.now() - SPEAKING_S
        return sum(at_s > since for at_s in self._spoke_s.values())

    def now(self) -> float:
        """The time in seconds on the loop's clock, which deadlines refer to."""
        assert self._loop is not None
        return self._loop.time()

    def start(self) -> None:
        """Start the threads. It is called on the event loop that gets the answers."""
        self._loop = asyncio.get_running_loop()
        self._stopped = self._loop.create_future()
        for thread in self._threads:
            thread.start()

    async def close(self) -> None:
        """Answer what waits with a failure, let what runs end, stop the threads. Idempotent."""
        if self._stopped is None:
            self._closed = True
            return
        if not self._closed:
            self._closed = True
            if self._timer:
                self._timer.cancel()
            for entry in self._scheduler.drain():
                self.counts.failures += 1
                entry.answered(entry, JobFailure(entry.job.number, CLOSED))
            for _ in self._threads:
                self._work.put(None)
        await asyncio.shield(self._stopped)
        for thread in self._threads:
            thread.join()  # the last thing each did was to say that it ends

    def submit(self, entry: QueuedJob) -> JobFailure | None:
        """Put a job into the queue, or return the failure that answers it."""
        try:
            if self._closed:
                raise EngineError(CLOSED)
            self._scheduler.add(entry)
        except EngineError as error:
            self.counts.failures += 1
            return JobFailure(entry.job.number, str(error))
        self._dispatch_soon()
        return None

    def hurry(self, stream: int) -> None:
        """Somebody waits for what that stream has asked for by now."""
        self._scheduler.hurry(stream, self.now())
        self._dispatch_soon()

    def discard(self, stream: int) -> None:
        """A stream has gone: take its jobs out of the queue."""
        self._scheduler.discard(stream)

    # These run on the event loop.

    def _dispatch_soon(self) -> None:
        if not self._dispatching and self._loop is not None:
            self._dispatching = True  # once for all the jobs of this iteration of the loop
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._dispatching = False
        if self._closed:
            return
        now = self.now()
        hop_s = self._scheduler.review(now)
        if hop_s is not None:
            self._overload_changed(hop_s, self.late_s)
        while self._idle:
            batch = self._scheduler.next_batch(now, files := self._files_may_run(now))
            if batch is None:
                break
            self._idle -= 1
            self._file_batches += not batch.live
            self._work.put(batch)
        self._wake_at(self._scheduler.wake_s(files) if self._idle else None)

    def _files_may_run(self, now: float) -> bool:
        """While anybody is live one thread is kept free of files, if there are several."""
        most = max(1, self.threads - 1) if self._scheduler.anybody_live(now) else self.threads
        return self._file_batches < most

    def _wake_at(self, when: float | None) -> None:
        """Dispatch at ``when`` on the loop's clock, if nothing brings it about before."""
        if self._timer and self._timer_s == when:
            return
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._timed) if self._loop and when else None
        self._timer_s = when

    def _timed(self) -> None:
        self._timer = None
        self._dispatch()

    def _done(self, batch: Batch, answers: Answers) -> None:
        self._idle += 1
        if batch.live:
            self._scheduler.overload.ran(answers.wall_s)
            self.counts.live_s += answers.wall_s
        else:
            self._file_batches -= 1
        self._dispatch()  # comes first, as the thread must not wait for what follows
        now = self.now()
        self.counts.add(batch, answers, now)
        if batch.live and not isinstance(batch.entries[0].job, VadJob):
            lately = {one: at_s for one, at_s in self._spoke_s.items() if at_s > now - SPEAKING_S}
            self._spoke_s = lately | dict.fromkeys((entry.stream for entry in batch.entries), now)
        for entry, result in zip(batch.entries, answers.results, strict=True):
            entry.answered(entry, result)

    def _thread_ended(self) -> None:
        self._alive -= 1
        if not self._alive and self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(None)

    # This runs in the inference threads.

    def _serve(self) -> None:
        loop = self._loop
        assert loop is not None
        with suppress(RuntimeError):  # the loop was closed, and nobody is left to answer
            while (batch := self._work.get()) is not None:
                answers = answer(batch.jobs, self._backend, self._vad)
                loop.call_soon_threadsafe(self._done, batch, answers)
            loop.call_soon_threadsafe(self._thread_ended)
