"""Live streams through the engine, in one process and without sockets: how many fit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from engine.events import Lag, Score
from engine.format import SAMPLE_RATE_HZ
from engine.model.backend import Backend
from engine.model.bundle import Bundle
from engine.scoring.scorer import CalibratedScorer, PreparedEmbeddings
from engine.serving.config import EngineConfig
from engine.serving.engine import Engine, Stream
from engine.session import Session
from engine.speech.vad import SileroVad
from streamer.bench.sound import loops, spoken

T = TypeVar("T")

PIECE_S = 0.1
SLOTS = 20  # streams send in turns of 5 ms
PIECE_BYTES = round(PIECE_S * SAMPLE_RATE_HZ) * 2
LOOP_S = 20.0
VOICES = 8
# By then every stream is past its short first windows, and past the judging of its form.
WARM_UP_S = 14.0
SCORES_KEPT = 0.9  # of those that a stream has alone, at least: pauses in the speech cost some


@dataclass(frozen=True, slots=True)
class EngineTrial:
    """So many live streams for a while. Delays are event out minus last sample in.

    ``*_ms`` of CPU are per second of one stream; ``rest_ms`` is everything but the models,
    this benchmark's own clockwork included. ``per_batch`` is the mean of windows in a call,
    ``rows_per_frame`` of streams in a call of the detector. ``hop_s`` is 0 if nobody was shed.
    ``alone_per_s`` are the scores that a stream has alone, with the same speech.
    """

    streams: int
    batching: bool
    seconds: float
    scores_per_s: float
    alone_per_s: float
    p50_ms: float
    p99_ms: float
    model_ms: float
    vad_ms: float
    rest_ms: float
    rows_per_frame: float
    per_batch: float
    lags: int
    hop_s: float

    def kept(self, delay_ms: float) -> bool:
        """Whether every stream had its scores in time."""
        enough = 0 < SCORES_KEPT * self.alone_per_s <= self.scores_per_s
        return enough and not self.lags and not self.hop_s and self.p99_ms <= delay_ms


class EngineBench:
    """Engines of one backend, one for each trial."""

    def __init__(
        self,
        bundle: Bundle,
        backend: Backend,
        vad: SileroVad,
        threads: int | None,
        seconds: float,
        speech: Path | None,
    ) -> None:
        self._bundle, self._backend, self._vad = bundle, backend, vad
        self._config = EngineConfig(threads=threads)
        self.threads = Engine(backend, vad, config=self._config).threads
        self._seconds = seconds
        self._speech = loops(speech, VOICES, LOOP_S)
        self._alone_per_s = 0.0
        self._scorer = CalibratedScorer(bundle)
        self._claims: dict[str, PreparedEmbeddings] = {
            "someone": self._scorer.prepare(backend.embed(spoken(6.0, seed=77)[None]), 6.0)
        }

    async def listen_alone(self) -> None:
        """Hear how many scores a stream has alone, by which the trials after it are judged."""
        self._alone_per_s = (await self.trial(1, batching=True)).scores_per_s

    async def trial(self, streams: int, *, batching: bool, silent: bool = False) -> EngineTrial:
        """Run ``streams`` at once, in real time, which share one engine."""
        config = EngineConfig(threads=self._config.threads, batching=batching)
        async with Engine(self._backend, self._vad, config=config) as engine:
            watched = [_Watched(engine, self._session(), i) for i in range(streams)]
            readers = [asyncio.create_task(one.read()) for one in watched]
            await self._send(watched, WARM_UP_S, silent)
            before, cpu = engine.stats(), time.process_time()
            for one in watched:
                one.begin()
            wall = time.perf_counter()
            await self._send(watched, self._seconds, silent)
            after, cpu = engine.stats(), time.process_time() - cpu
            wall = time.perf_counter() - wall
            for one in watched:
                await one.stream.close()
            await asyncio.gather(*readers)
        total_s = streams * wall
        delays = np.concatenate([one.delays for one in watched]) * 1000
        model_s, vad_s = (
            after.model_cpu_s - before.model_cpu_s,
            after.vad_cpu_s - before.vad_cpu_s,
        )
        return EngineTrial(
            streams=streams,
            batching=batching,
            seconds=wall,
            scores_per_s=len(delays) / total_s,
            alone_per_s=self._alone_per_s,
            p50_ms=float(np.percentile(delays, 50)) if len(delays) else 0.0,
            p99_ms=float(np.percentile(delays, 99)) if len(delays) else 0.0,
            model_ms=1000 * model_s / total_s,
            vad_ms=1000 * vad_s / total_s,
            rest_ms=1000 * (cpu - model_s - vad_s) / total_s,
            rows_per_frame=_ratio(after.frames - before.frames, after.vad_calls - before.vad_calls),
            per_batch=_ratio(after.windows - before.windows, after.batches - before.batches),
            lags=sum(one.lags for one in watched),
            hop_s=after.hop_s,
        )

    def _session(self) -> Session:
        return Session(self._scorer, self._claims)

    async def _send(self, watched: list[_Watched], seconds: float, silent: bool) -> None:
        """Send a piece of every stream each tenth of a second, one stream after another."""
        loop = asyncio.get_running_loop()
        hush = [bytes(len(self._speech[0]))]
        turns = [watched[i::SLOTS] for i in range(SLOTS)]
        began = loop.time()
        for n in range(round(seconds / PIECE_S) * SLOTS):
            due = began + n * PIECE_S / SLOTS
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            for one in turns[n % SLOTS]:
                await one.send(hush if silent else self._speech, due)


class _Watched:
    """A stream, and when its sound went in and its scores came out."""

    def __init__(self, engine: Engine, session: Session, number: int) -> None:
        self.stream: Stream = engine.open(session, live=True)
        self._number, self._loop = number, asyncio.get_running_loop()
        self._sent: list[float] = []  # when each piece was due
        self._measuring = False
        self.delays: list[float] = []
        self.lags = 0

    def begin(self) -> None:
        """Measure from here on: scores of sound sent before do not count."""
        self._measuring = True

    async def send(self, speech: list[bytes], due: float) -> None:
        """The next piece. It may go late, but counts from when it was due."""
        sound = speech[self._number % len(speech)]
        place = (len(self._sent) + 7 * self._number) * PIECE_BYTES % len(sound)
        self._sent.append(due)
        await self.stream.send(sound[place : place + PIECE_BYTES])

    async def read(self) -> None:
        """Take events as they come."""
        async for event in self.stream:
            if isinstance(event, Lag):
                self.lags += 1
            elif isinstance(event, Score) and self._measuring:
                last = int(np.ceil(event.t / PIECE_S - 1e-6)) - 1
                self.delays.append(self._loop.time() - self._sent[last])


def search(attempt: Callable[[int], T], guess: int, kept: Callable[[T], bool]) -> T | None:
    """The largest number that is kept, to one part in sixteen, from a guess on."""
    low, high, best = 0, None, None
    streams = guess
    while high is None or high - low > max(1, high // 16):
        trial = attempt(streams)
        if kept(trial):
            low, best = streams, trial
            streams = (low + high) // 2 if high else max(low + 1, low * 5 // 4)
        else:
            high = streams
            streams = (low + high) // 2 if low else high * 3 // 4
        if streams < 1:
            break
    return best


def _ratio(whole: float, parts: float) -> float:
    return whole / parts if parts else 0.0
