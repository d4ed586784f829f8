"""The engine runs the models for every stream.

    async with Engine(backend, vad) as engine:
        stream = engine.open(session)
        await stream.send(pcm)          waits while too much sound is unscored
        await stream.finalize()
        async for event in stream: ...

An engine opens streams and has a pool of inference threads. A stream puts its jobs into the
pool by itself; the engine knows the streams only to tell them of overload and to end them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from engine.errors import EngineError
from engine.model.backend import Backend
from engine.serving.config import EngineConfig
from engine.serving.conversation import Conversation
from engine.serving.line import Gathering
from engine.serving.overload import OverloadConfig
from engine.serving.pool import CLOSED, InferencePool
from engine.serving.scheduler import SchedulerConfig
from engine.serving.stream import Stream
from engine.speech.vad import SileroVad

__all__ = ["Conversation", "Engine", "EngineStats", "Stream"]

GPU_THREADS = 2  # threads, of which one prepares a batch while the other's is on the GPU


@dataclass(frozen=True, slots=True)
class EngineStats:
    """What was counted since the start (:class:`engine.serving.pool.PoolCounts`), and three more.

    These tell of the moment: ``queued`` windows, open ``streams``, and ``hop_s``, the hop that
    overload asks of live streams, which is 0 where they keep their own.
    """

    windows: int
    batches: int
    batch_sizes: dict[int, int]
    frames: int
    vad_calls: int
    queued: int
    longest_wait_s: float
    late: int
    model_cpu_s: float
    vad_cpu_s: float
    failures: int
    streams: int
    hop_s: float


class Engine:
    """Runs the models for any number of streams. An async context manager."""

    def __init__(
        self, backend: Backend, vad: SileroVad, *, config: EngineConfig | None = None
    ) -> None:
        self.backend, self.config = backend, config or EngineConfig()
        cores = _cores() if backend.provider == "cpu" else GPU_THREADS
        count = self.config.threads or cores
        self._pool = InferencePool(
            backend,
            vad,
            threads=count,
            config=_scheduling(backend, self.config, count),
            overload_changed=self._overload_changed,
        )
        self._streams: dict[int, Stream] = {}
        self._numbers = 0
        self._started = self._closed = False

    async def __aenter__(self) -> Engine:
        self._pool.start()
        self._started = True
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def threads(self) -> int:
        """How many threads run the models."""
        return self._pool.threads

    @property
    def hop_s(self) -> float:
        """The hop in seconds that live streams must keep now; 0 is their own."""
        return self._pool.hop_s

    @property
    def late_s(self) -> float:
        """How far behind live streams are, in seconds, while they are made to keep a hop."""
        return self._pool.late_s if self._pool.hop_s else 0.0

    @property
    def live_s(self) -> float:
        """Seconds that threads have worked for live streams."""
        return self._pool.counts.live_s

    @property
    def live_windows(self) -> tuple[int, int]:
        """How many windows of live streams were answered, and how many of those too late."""
        return self._pool.counts.live_windows, self._pool.counts.late

    @property
    def speaking(self) -> int:
        """In how many live streams somebody spoke within the last seconds."""
        return self._pool.speaking

    @property
    def files_s(self) -> float:
        """Seconds of the event loop's time that the sound of files has taken."""
        return self._pool.leisure.spent_s

    def open(self, conversation: Conversation, *, live: bool | None = None) -> Stream:
        """A stream of sound for ``conversation``.

        A ``live`` one may be scored less often when the server is overloaded; one that is not
        waits instead, and its pace says nothing: it has no pauses by the clock. With ``None`` it is
        live until it sends faster than real time.
        """
        if not self._started or self._closed:
            raise EngineError(CLOSED if self._closed else "the engine has not been started")
        self._numbers += 1
        stream = Stream(
            conversation,
            self._pool,
            number=self._numbers,
            live=live,
            config=self.config,
            ended=self._ended,
        )
        self._streams[stream.number] = stream
        if stream.live and self.hop_s:
            stream.set_overload(self.hop_s, self._pool.late_s)
        stream.begin()
        return stream

    def stats(self) -> EngineStats:
        """What has been done so far."""
        counts = self._pool.counts
        return EngineStats(
            windows=counts.windows,
            batches=counts.batch_sizes.total(),
            batch_sizes=dict(counts.batch_sizes),
            frames=counts.frames,
            vad_calls=counts.vad_calls,
            queued=self._pool.queued,
            longest_wait_s=counts.longest_wait_s,
            late=counts.late,
            model_cpu_s=counts.model_cpu_s,
            vad_cpu_s=counts.vad_cpu_s,
            failures=counts.failures,
            streams=len(self._streams),
            hop_s=self.hop_s,
        )

    async def close(self) -> None:
        """Answer what waits with a failure, let what runs end, end the streams. Idempotent."""
        self._closed = True
        try:
            await self._pool.close()
        finally:
            for stream in list(self._streams.values()):
                stream.fail(EngineError(CLOSED))

    def _ended(self, stream: Stream) -> None:
        self._streams.pop(stream.number, None)

    def _overload_changed(self, hop_s: float, late_s: float) -> None:
        for stream in list(self._streams.values()):
            if stream.live:
                stream.set_overload(hop_s, late_s)


def _scheduling(backend: Backend, config: EngineConfig, threads: int) -> SchedulerConfig:
    whole = SchedulerConfig(
        backend.batch_sizes, capacity=config.capacity, overload=OverloadConfig(threads=threads)
    )
    if config.batching:
        return whole
    return replace(whole, batch_sizes=(1,), gathering=Gathering(1, 1, 0.0, 0.0))


def _cores() -> int:
    """Cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows do not have it
        return os.cpu_count() or 1
