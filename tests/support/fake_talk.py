"""A conversation of the simplest kind, and an engine for it, for tests of the service.

Every half second of sound is a window, every answer an event. Tests wait for what must happen and
never for a time.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import numpy as np
from fake_backend import FakeBackend
from numpy.typing import NDArray

from engine.arrival.moments import Arrival
from engine.errors import AudioError
from engine.events import AnyEvent, Failure, Vad
from engine.format import SAMPLE_RATE_HZ
from engine.jobs import EmbedJob, Job, JobFailure, Result
from engine.model.backend import Backend
from engine.serving.config import EngineConfig
from engine.serving.engine import Engine, Stream
from engine.serving.stream import PIECE_BYTES
from engine.speech.vad import SileroVad

Float32 = NDArray[np.float32]
WINDOW = SAMPLE_RATE_HZ // 2
PATIENCE_S = 60.0  # a test that hangs fails


class Talk:
    """Windows of half a second of s16le, no detector; ``Vad(t, speech=True)`` for an answer."""

    def __init__(self) -> None:
        self.samples = np.zeros(0, np.float32)
        self.taken = 0
        self.jobs: list[Job] = []
        self.unanswered: dict[int, float] = {}
        self.told: list[AnyEvent] = []
        self.hops: list[tuple[float, float]] = []
        self.deepest_s = 0.0

    @property
    def waiting(self) -> bool:
        return bool(self.unanswered)

    @property
    def received_s(self) -> float:
        return self.taken / SAMPLE_RATE_HZ

    @property
    def backlog_s(self) -> float:
        return self.received_s - min(self.unanswered.values(), default=self.received_s)

    next_s = None

    def begin(self, now: Arrival) -> None:
        """It waits for nothing."""

    def pass_time(self, now: Arrival) -> None:
        raise AssertionError("it did not ask for the time")

    def receive_pcm(self, data: bytes, arrived: Arrival) -> None:
        if data.startswith(b"bad!"):
            raise AudioError("that is no sound")
        if data.startswith(b"bug!"):
            raise ZeroDivisionError("a bug in the conversation")
        fresh = np.frombuffer(data, "<i2").astype(np.float32) / 32768
        self.samples = np.concatenate([self.samples, fresh])
        self.taken += len(fresh)
        while len(self.samples) >= WINDOW:
            window, self.samples = self.samples[:WINDOW], self.samples[WINDOW:]
            number = (self.taken - len(self.samples)) // WINDOW
            self.unanswered[number] = number / 2
            self.jobs.append(EmbedJob(number, window, number * WINDOW))
        self.deepest_s = max(self.deepest_s, self.backlog_s)

    def receive_eof(self) -> None:
        self.samples = np.zeros(0, np.float32)

    def jobs_to_run(self) -> list[Job]:
        jobs, self.jobs = self.jobs, []
        return jobs

    def receive_result(self, result: Result) -> None:
        t = self.unanswered.pop(result.number)
        if isinstance(result, JobFailure):
            self.told.append(Failure(t=t, code="window-failed", message=result.message))
        else:
            self.told.append(Vad(t=t, speech=True, at=t))

    def events(self) -> Iterator[AnyEvent]:
        told, self.told = self.told, []
        yield from told

    def set_overload(self, hop_s: float, late_s: float) -> None:
        self.hops.append((hop_s, late_s))


def sound(windows: int, seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    return rng.integers(-3000, 3000, windows * WINDOW, dtype=np.int16).tobytes()


class Gated(FakeBackend):
    """Embeds only while the gate is open; counts what is inside."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.threads: set[str] = set()
        self.sizes: list[int] = []

    def embed(self, waveforms: Float32, /) -> Float32:
        self.threads.add(threading.current_thread().name)
        self.sizes.append(len(waveforms))
        self.entered.set()
        assert self.gate.wait(PATIENCE_S)
        return super().embed(waveforms)


@asynccontextmanager
async def engine_with(
    backend: Backend, vad: SileroVad, **settings: float | bool | None
) -> AsyncIterator[Engine]:
    config = EngineConfig(**settings)
    async with asyncio.timeout(PATIENCE_S), Engine(backend, vad, config=config) as engine:
        yield engine


async def read(stream: Stream) -> list[AnyEvent]:
    return [event async for event in stream]


async def whole(stream: Stream, data: bytes, step: int = PIECE_BYTES) -> list[AnyEvent]:
    """Send everything and read everything, at once."""

    async def send() -> None:
        for start in range(0, len(data), step):
            await stream.send(data[start : start + step])
        await stream.finalize()

    events, _ = await asyncio.gather(read(stream), send())
    return events


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.005)
