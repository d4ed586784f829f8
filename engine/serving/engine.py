"""The one async service that runs the models for every stream.

    async with Engine(backend, vad) as engine:
        stream = engine.open(session)
        await stream.send(pcm)          waits while too much is undone
        await stream.finish()
        async for event in stream: ...

Everything but the models runs on the event loop; the models run on a fixed number of
threads. The loop hands out batches through a queue and gets results back through
``call_soon_threadsafe``. Between them `scheduler` decides and `inference`
computes. Every job is answered: by its result, or by a failure that says why.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from contextlib import suppress
from dataclasses import replace

from engine.account import Account, EngineStats
from engine.errors import EngineError
from engine.jobs import Job, JobFailure, Result, VadJob
from engine.model.backend import Backend
from engine.serving.inference import Answers, answer
from engine.serving.overload import PressureConfig
from engine.serving.scheduler import Batch, Batcher, BatcherConfig, Entry
from engine.serving.stream import Conversation, EngineConfig, Stream
from engine.speech.vad import SileroVad

__all__ = ["Conversation", "Engine", "EngineConfig", "EngineStats", "Stream"]

GPU_THREADS = 2  # one prepares a batch while the other's is on the GPU
CLOSED = "the engine was closed"


class Engine:
    """Runs the models for any number of streams. An async context manager."""

    def __init__(
        self, backend: Backend, vad: SileroVad, *, config: EngineConfig | None = None
    ) -> None:
        self.backend, self.config = backend, config or EngineConfig()
        self._vad = vad
        cores = _cores() if backend.provider in ("cpu", "fake") else GPU_THREADS
        count = self.config.threads or cores
        self._batcher = Batcher(_batching(backend, self.config, count))
        self._work: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()  # one for a free thread
        self._threads = [
            threading.Thread(target=self._serve, name=f"inference-{i}", daemon=True)
            for i in range(count)
        ]
        self._idle = self._alive = count
        self._streams: dict[int, Stream] = {}
        self._numbers = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s: float | None = None  # when; what uvloop hands out does not always know
        self._dispatching = self._closed = False
        self._account = Account()

    async def __aenter__(self) -> Engine:
        self._loop = asyncio.get_running_loop()
        self._stopped = self._loop.create_future()
        for thread in self._threads:
            thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def threads(self) -> int:
        """How many threads run the models."""
        return len(self._threads)

    @property
    def hop_s(self) -> float:
        """The hop that live streams must keep now; 0: their own."""
        return self._batcher.pressure.hop_s

    def open(self, conversation: Conversation, *, live: bool | None = None) -> Stream:
        """A stream of sound for ``conversation``.

        A ``live`` one may be scored less often when the server is overloaded; one that is not
        waits instead. ``None``: live until it sends faster than real time.
        """
        if self._loop is None or self._closed:
            raise EngineError(CLOSED if self._closed else "the engine has not been started")
        self._numbers += 1
        stream = Stream(self, self._numbers, conversation, live)
        self._streams[stream.number] = stream
        if stream.live and self.hop_s:
            stream.slow(self.hop_s, self._batcher.pressure.behind_s)
        return stream

    def stats(self) -> EngineStats:
        """What has been done so far."""
        return self._account.stats(
            queued=self._batcher.queued, streams=len(self._streams), hop_s=self.hop_s
        )

    async def close(self) -> None:
        """Answer what waits with a failure, let what runs end, stop the threads. Idempotent."""
        if self._loop is None or self._stopped is None:
            self._closed = True
            return
        if not self._closed:
            self._closed = True
            if self._timer:
                self._timer.cancel()
            for entry in self._batcher.drain():
                self._hand_back(entry, JobFailure(entry.job.number, CLOSED))
            for _ in self._threads:
                self._work.put(None)
        try:
            await asyncio.shield(self._stopped)
        finally:
            for stream in list(self._streams.values()):
                stream.fail(EngineError(CLOSED))
        for thread in self._threads:
            thread.join()  # the last thing each did was to say that it ends

    # The event loop's side.

    def now(self) -> float:
        """The clock of deadlines: seconds."""
        assert self._loop is not None
        return self._loop.time()

    def submit(self, stream: Stream, job: Job, arrived_s: float) -> JobFailure | None:
        """Put a stream's job in line; if that cannot be, its answer.

        A window counts from when the frames that completed it arrived, a detection from now.
        """
        if isinstance(job, VadJob):
            arrived_s = self.now()
        wait_s = self.config.deadline_s if stream.live else self.config.patience_s
        try:
            if self._closed:
                raise EngineError(CLOSED)
            self._batcher.add(Entry(stream.number, job, arrived_s, arrived_s + wait_s, stream.live))
        except EngineError as error:
            self._account.failed()
            return JobFailure(job.number, str(error))
        self._dispatch_soon()
        return None

    def forget(self, stream: Stream) -> None:
        """A stream is over: what it has in line will not be run."""
        if self._streams.pop(stream.number, None) and stream.conversation.waiting:
            self._batcher.discard(stream.number)

    def _dispatch_soon(self) -> None:
        """Once for all the jobs that this turn of the loop brings."""
        if not self._dispatching and self._loop is not None:
            self._dispatching = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        assert self._loop is not None
        self._dispatching = False
        if self._closed:
            return
        now = self._loop.time()
        hop_s = self._batcher.review(now)
        if hop_s is not None:
            self._slow(hop_s)
        while self._idle and (batch := self._batcher.next_batch(now)) is not None:
            self._idle -= 1
            self._work.put(batch)
        self._wake_at(self._batcher.wake_s if self._idle else None)

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

    def _slow(self, hop_s: float) -> None:
        for stream in list(self._streams.values()):
            if stream.live:
                stream.slow(hop_s, self._batcher.pressure.behind_s)

    def _done(self, batch: Batch, answers: Answers) -> None:
        self._idle += 1
        self._batcher.pressure.ran(answers.wall_s)
        self._dispatch()  # first of all: the thread must not wait for what follows
        if isinstance(batch.entries[0].job, VadJob):
            self._account.detected(answers)
        else:
            self._account.embedded(batch.entries, answers, self.now())
        for entry, result in zip(batch.entries, answers.results, strict=True):
            self._hand_back(entry, result)

    def _hand_back(self, entry: Entry, result: Result) -> None:
        if isinstance(result, JobFailure):
            self._account.failed()
        stream = self._streams.get(entry.stream)
        if stream is not None:
            stream.answered(entry, result)

    def _thread_ended(self) -> None:
        self._alive -= 1
        if not self._alive and self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(None)

    # The inference threads' side.

    def _serve(self) -> None:
        loop = self._loop
        assert loop is not None
        with suppress(RuntimeError):  # the loop was closed under us: nobody is left to answer
            while (batch := self._work.get()) is not None:
                answers = answer(batch.jobs, self.backend, self._vad)
                loop.call_soon_threadsafe(self._done, batch, answers)
            loop.call_soon_threadsafe(self._thread_ended)


def _batching(backend: Backend, config: EngineConfig, threads: int) -> BatcherConfig:
    whole = BatcherConfig(
        backend.batch_sizes, capacity=config.capacity, pressure=PressureConfig(threads=threads)
    )
    if config.batching:
        return whole
    return replace(whole, batch_sizes=(1,), vad_rows=1, vad_frames=1, vad_wait_s=0.0)


def _cores() -> int:
    """Cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
