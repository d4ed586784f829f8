"""The service: every job answered, every stream by itself, nothing without bound.

`Talk` is a conversation of the simplest kind: every half second of sound is a window, every
answer an event. Tests wait for what must happen and never for a time.
"""

# Long: one file for one class, whose tests share the conversation `Talk` and the backends below.

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import msgspec
import numpy as np
import pytest
from fake_backend import FAKE_SIZE, FakeBackend
from numpy.typing import NDArray

from engine.arrival.moments import Arrival
from engine.errors import AudioError, EngineError, ProviderError
from engine.events import AnyEvent, Decision, Failure, Score, Summary, Vad
from engine.format import SAMPLE_RATE_HZ
from engine.jobs import EmbedJob, Job, JobFailure, Result
from engine.model.backend import BATCH_TOLERANCE, Backend, OnnxBackend
from engine.model.bundle import Bundle, load_bundle
from engine.scoring.scorer import CalibratedScorer, PreparedEmbeddings
from engine.serving.config import EngineConfig
from engine.serving.engine import Engine, Stream
from engine.serving.stream import PIECE_BYTES
from engine.session import Session
from engine.speech.vad import SileroVad

Float32 = NDArray[np.float32]
WINDOW = SAMPLE_RATE_HZ // 2
WINDOW_BYTES = 2 * WINDOW
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


class Broken(FakeBackend):
    """Raises for every batch with a window louder than usual in it."""

    def embed(self, waveforms: Float32, /) -> Float32:
        if np.abs(waveforms).max() > 0.5:
            raise ValueError("too loud\nwith details")
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


# Every job is answered.


async def test_every_window_is_answered_and_then_it_ends(vad: SileroVad) -> None:
    async with engine_with(FakeBackend(), vad) as engine:
        events = await whole(engine.open(Talk()), sound(20))
        stats = engine.stats()
    assert sorted(e.t for e in events) == [i / 2 for i in range(1, 21)]
    assert stats.windows == 20
    assert sum(size * n for size, n in stats.batch_sizes.items()) == 20
    assert (stats.streams, stats.queued, stats.failures) == (0, 0, 0)
    assert stats.model_cpu_s > 0


async def test_models_run_on_the_engines_threads_which_end_with_it(vad: SileroVad) -> None:
    backend = Gated()
    backend.gate.set()
    async with engine_with(backend, vad, threads=2) as engine:
        await whole(engine.open(Talk()), sound(8))
        assert backend.threads <= {"inference-0", "inference-1"}
    assert not any(t.name.startswith("inference-") for t in threading.enumerate())


async def test_a_failed_window_is_told_and_the_rest_of_its_batch_is_not_lost(
    vad: SileroVad,
) -> None:
    loud = np.full(WINDOW, 30000, "<i2").tobytes()
    async with engine_with(Broken(), vad, threads=1) as engine:
        quiet, broken = engine.open(Talk()), engine.open(Talk())
        good, bad = await asyncio.gather(
            whole(quiet, sound(12)), whole(broken, sound(2) + loud + sound(2))
        )
        assert engine.stats().failures == 1
    assert [type(e) for e in good] == [Vad] * 12
    failures = [e for e in bad if isinstance(e, Failure)]
    assert [(e.t, e.message) for e in failures] == [(1.5, "the model failed: too loud")]
    assert len(bad) == 5


async def test_a_provider_that_fails_says_so_in_its_own_words(vad: SileroVad) -> None:
    class Lost(FakeBackend):
        def embed(self, waveforms: Float32, /) -> Float32:
            raise ProviderError("the GPU is lost: restart")

    async with engine_with(Lost(), vad) as engine:
        events = await whole(engine.open(Talk()), sound(3))
    assert {e.message for e in events if isinstance(e, Failure)} == {"the GPU is lost: restart"}
    assert len(events) == 3


async def test_closing_answers_what_waits_and_lets_what_runs_end(vad: SileroVad) -> None:
    backend = Gated()
    async with engine_with(backend, vad, threads=1) as engine:
        stream = engine.open(Talk(), live=False)
        await stream.send(sound(6))
        await stream.finalize()
        await until(backend.entered.is_set)
        reading = asyncio.create_task(read(stream))
        asyncio.get_running_loop().call_later(0.01, backend.gate.set)
        await engine.close()
        await engine.close()
        events = await reading
        assert engine.stats().failures == 6 - backend.sizes[0]
    told = [e for e in events if isinstance(e, Vad)]
    failed = [e for e in events if isinstance(e, Failure)]
    assert (len(told), len(failed)) == (backend.sizes[0], 6 - backend.sizes[0])
    assert {e.message for e in failed} == {"the engine was closed"}
    with pytest.raises(EngineError, match="was closed"):
        engine.open(Talk())


async def test_closing_ends_streams_that_had_not_finished(vad: SileroVad) -> None:
    async with engine_with(FakeBackend(), vad) as engine:
        stream = engine.open(Talk())
        await stream.send(sound(1))
        reading = asyncio.create_task(read(stream))
    with pytest.raises(EngineError, match="was closed"):
        await reading
    with pytest.raises(EngineError, match="was closed"):
        await stream.send(sound(1))


async def test_an_engine_that_was_not_started_says_so(vad: SileroVad) -> None:
    engine = Engine(FakeBackend(), vad)
    with pytest.raises(EngineError, match="not been started"):
        engine.open(Talk())
    await engine.close()
    with pytest.raises(EngineError, match="was closed"):
        engine.open(Talk())


async def test_a_detector_that_fails_ends_its_stream_and_no_other(
    spectral_bundle: Bundle, vad: SileroVad, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = vad.detect

    def detect(pieces: list[Float32], states: list[object]) -> object:
        if max(np.abs(piece).max() for piece in pieces) > 0.9:
            raise RuntimeError("no detection")
        return real(pieces, states)

    monkeypatch.setattr(vad, "detect", detect)
    scorer = CalibratedScorer(spectral_bundle)
    async with engine_with(FakeBackend(), vad) as engine:
        ok, bad = engine.open(Session(scorer, {})), engine.open(Session(scorer, {}))
        loud = np.full(WINDOW, 32000, "<i2").tobytes()
        others = asyncio.create_task(whole(ok, sound(4)))
        with pytest.raises(EngineError, match=r"detection failed.*: the model failed: no detec"):
            await whole(bad, sound(1) + loud)
        assert isinstance((await others)[-1], Summary)


# Flow control.


@pytest.mark.parametrize("step", [PIECE_BYTES, 10_000_000])
async def test_a_fast_sender_waits_and_nothing_piles_up(vad: SileroVad, step: int) -> None:
    backend, talk = Gated(), Talk()
    async with engine_with(backend, vad, threads=1, backlog_s=2.0) as engine:
        stream = engine.open(talk)
        everything = asyncio.create_task(whole(stream, sound(60), step))
        await until(backend.entered.is_set)
        for _ in range(50):
            await asyncio.sleep(0)
        held_s = talk.received_s
        assert 2.0 < held_s <= 3.0  # the bound, and at most two pieces over it
        assert engine.stats().queued <= 6
        assert not stream.live
        backend.gate.set()
        events = await everything
    assert len(events) == 60
    assert talk.deepest_s <= 3.5


async def test_a_sender_waits_for_a_reader_that_does_not_read(vad: SileroVad) -> None:
    async with engine_with(FakeBackend(), vad, unread_events=5) as engine:
        stream = engine.open(Talk())
        sending = asyncio.create_task(stream.send(sound(100)))
        await until(lambda: len(stream._events) >= 5)
        await until(lambda: not stream.conversation.waiting)
        assert not sending.done()
        assert len(stream._events) <= 5 + 9  # the bound, and what was under way by then
        for _ in range(100):
            await anext(stream)
        await sending


async def test_a_live_stream_does_not_wait(vad: SileroVad) -> None:
    backend = Gated()
    async with engine_with(backend, vad, threads=1) as engine:
        stream = engine.open(Talk(), live=True)
        for _ in range(6):
            await stream.send(sound(1))
        assert stream.live
        assert stream.conversation.backlog_s == pytest.approx(2.5)  # less than 4: never blocked
        backend.gate.set()
        await stream.finalize()
        assert len(await read(stream)) == 6


async def test_an_empty_message_is_nothing(vad: SileroVad) -> None:
    async with engine_with(FakeBackend(), vad) as engine:
        assert await whole(engine.open(Talk()), b"") == []


# Overload.


class Slow(FakeBackend):
    """Takes its time with every batch, as long as it is told to."""

    def __init__(self) -> None:
        super().__init__((1,))
        self.slow = threading.Event()
        self.slow.set()
        self._never = threading.Event()

    def embed(self, waveforms: Float32, /) -> Float32:
        if self.slow.is_set():
            self._never.wait(0.05)
        return super().embed(waveforms)


async def test_an_overloaded_server_slows_live_streams_and_no_other(vad: SileroVad) -> None:
    live, late, file = Talk(), Talk(), Talk()
    async with engine_with(Slow(), vad, threads=1, deadline_s=0.001) as engine:
        streams = [engine.open(live, live=True), engine.open(file, live=False)]
        readers = [asyncio.create_task(read(stream)) for stream in streams]
        while not live.hops:
            for stream in streams:
                await stream.send(sound(1))
        stats = engine.stats()
        engine.open(late, live=True)  # learns at once how things are
        for stream in streams:
            await stream.finalize()
        await asyncio.gather(*readers)
        assert engine.stats().late > 0
    hop_s, late_s = live.hops[0]
    assert stats.hop_s == hop_s > 0
    assert late_s > 0
    assert late.hops[0][0] == hop_s
    assert file.hops == []


async def test_a_live_stream_that_runs_ahead_of_time_is_none_and_keeps_its_hop(
    vad: SileroVad,
) -> None:
    talk = Talk()
    async with engine_with(Slow(), vad, threads=1, deadline_s=0.001) as engine:
        other = engine.open(Talk(), live=True)
        while not engine.hop_s:
            await other.send(sound(1))
        stream = engine.open(talk)
        assert [hop > 0 for hop, _ in talk.hops] == [True]
        reading = asyncio.create_task(read(stream))
        await stream.send(sound(6))
        assert talk.hops[-1] == (0.0, 0.0)
        await stream.finalize()
        await reading


async def test_a_full_line_refuses_a_window_and_says_so(vad: SileroVad) -> None:
    backend = Gated()
    async with engine_with(backend, vad, threads=1, capacity=3, backlog_s=100.0) as engine:
        stream = engine.open(Talk(), live=False)
        await stream.send(sound(10))
        backend.gate.set()
        await stream.finalize()
        events = await read(stream)
    refused = [e for e in events if isinstance(e, Failure)]
    assert refused
    assert len(events) == 10
    assert all("overloaded" in e.message for e in refused)


# Cancellation, closing, faults of one stream.


async def test_a_cancelled_sender_leaves_the_stream_usable(vad: SileroVad) -> None:
    backend = Gated()
    async with engine_with(backend, vad, threads=1, backlog_s=1.0) as engine:
        stream = engine.open(Talk())
        sending = asyncio.create_task(stream.send(sound(40)))
        await until(backend.entered.is_set)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        backend.gate.set()
        await stream.finalize()
        assert 0 < len(await read(stream)) < 40


async def test_a_cancelled_reader_loses_no_event(vad: SileroVad) -> None:
    async with engine_with(FakeBackend(), vad) as engine:
        stream = engine.open(Talk())
        reading = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert len(await whole(stream, sound(3))) == 3


async def test_two_readers_are_the_programmers_error(vad: SileroVad) -> None:
    async with engine_with(FakeBackend(), vad) as engine:
        stream = engine.open(Talk())
        reading = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await anext(stream)
        await stream.close()
        with pytest.raises(StopAsyncIteration):
            await reading


async def test_a_closed_stream_frees_its_place(vad: SileroVad) -> None:
    backend = Gated()
    async with engine_with(backend, vad, threads=1, backlog_s=1.0) as engine:
        gone, stays = engine.open(Talk()), engine.open(Talk(), live=False)
        sending = asyncio.create_task(gone.send(sound(40)))
        await until(backend.entered.is_set)
        await stays.send(sound(2))
        await gone.close()
        await gone.close()
        assert engine.stats().streams == 1
        assert engine.stats().queued == 2
        with pytest.raises(EngineError, match="closed"):
            await sending
        assert await read(gone) == []
        await gone.finalize()
        backend.gate.set()
        await stays.finalize()
        assert len(await read(stays)) == 2


async def test_leaving_by_an_error_leaves_no_thread_behind(vad: SileroVad) -> None:
    async def fail() -> None:
        async with engine_with(FakeBackend(), vad) as engine:
            await engine.open(Talk()).send(sound(5))
            raise KeyError("the server failed")

    with pytest.raises(KeyError):
        await fail()
    assert not any(t.name.startswith("inference-") for t in threading.enumerate())


async def test_sound_that_is_none_is_the_senders_fault_alone(vad: SileroVad) -> None:
    async with engine_with(FakeBackend(), vad) as engine:
        stream = engine.open(Talk())
        with pytest.raises(AudioError, match="no sound"):
            await stream.send(b"bad!")
        assert len(await whole(stream, sound(2))) == 2


async def test_a_conversation_with_a_fault_fails_alone(vad: SileroVad) -> None:
    class Confused(Talk):
        def receive_result(self, result: Result) -> None:
            raise LookupError("which window?")

    async with engine_with(FakeBackend(), vad) as engine:
        faulty, buggy, fine = (engine.open(t) for t in (Confused(), Talk(), Talk()))
        with pytest.raises(EngineError, match=r"which window\?") as caught:
            await whole(faulty, sound(3))
        assert isinstance(caught.value.__cause__, LookupError)
        with pytest.raises(EngineError, match="a bug in the conversation"):
            await buggy.send(b"bug!")
        assert len(await whole(fine, sound(3))) == 3


async def test_sound_after_the_end_is_the_programmers_error(vad: SileroVad) -> None:
    backend = Gated()
    async with engine_with(backend, vad) as engine:
        stream = engine.open(Talk())
        await stream.send(sound(1))
        await stream.finalize()
        await stream.finalize()
        with pytest.raises(RuntimeError, match="has ended"):
            await stream.send(sound(1))
        backend.gate.set()
        assert len(await read(stream)) == 1


@pytest.mark.parametrize("bad", [{"backlog_s": 0.0}, {"threads": 0}, {"unread_events": 0}])
def test_an_impossible_configuration_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        EngineConfig(**bad)


# The same sound, the same events.


def conversations(voice: Callable[..., Float32], count: int, seconds: float) -> list[bytes]:
    """Both voices in turn, silence of different lengths before each, s16le."""
    voices = [voice(name, seconds / 2, seed=i) for i in range(3) for name in ("anna", "bert")]
    talks = []
    for i in range(count):
        hush = np.zeros(round(SAMPLE_RATE_HZ * (0.1 + 0.037 * i)), np.float32)
        said = [np.roll(voices[(i + k) % len(voices)], 1000 * i) for k in (0, 1 + 2 * (i % 2))]
        talks.append((np.concatenate([hush, *said]) * 32767).astype("<i2").tobytes())
    return talks


def claims(
    scorer: CalibratedScorer, backend: Backend, voice: Callable[..., Float32]
) -> dict[str, PreparedEmbeddings]:
    speech = {name: voice(name, 6.0, seed=99) for name in ("anna", "bert")}
    return {n: scorer.prepare(backend.embed(s[None]), 6.0) for n, s in speech.items()}


async def alone_and_together(
    backend: Backend, vad: SileroVad, bundle: Bundle, voice: Callable[..., Float32], count: int
) -> tuple[list[list[AnyEvent]], list[list[AnyEvent]]]:
    scorer, sounds = CalibratedScorer(bundle), conversations(voice, count, 5.0)
    known = claims(scorer, backend, voice)

    def session() -> Session:
        return Session(scorer, known, claimed=False)

    alone = []
    async with engine_with(backend, vad, batching=False, threads=1) as engine:
        for data in sounds:
            alone.append(untimed(await whole(engine.open(session(), live=False), data)))
    async with engine_with(backend, vad, threads=2) as engine:
        steps = [1000 + 777 * i for i in range(count)]
        together = await asyncio.gather(
            *(
                whole(engine.open(session(), live=False), data, step)
                for data, step in zip(sounds, steps, strict=True)
            )
        )
        stats = engine.stats()
    assert stats.frames > 2 * stats.vad_calls  # they did go together
    return alone, [untimed(events) for events in together]


def untimed(events: list[AnyEvent]) -> list[AnyEvent]:
    """Without the time of day."""
    return [msgspec.structs.replace(event, at_time=msgspec.UNSET) for event in events]


async def test_fifty_streams_have_the_events_each_has_alone(
    spectral_bundle: Bundle, vad: SileroVad, voice: Callable[..., Float32]
) -> None:
    assert spectral_bundle.manifest.embedding_size == FAKE_SIZE
    alone, together = await alone_and_together(FakeBackend(), vad, spectral_bundle, voice, 50)
    assert alone == together
    kinds = {type(event) for events in alone for event in events}
    assert {Score, Decision, Summary, Vad} <= kinds


async def test_the_bundled_model_gives_streams_together_what_it_gives_alone(
    vad: SileroVad, voice: Callable[..., Float32]
) -> None:
    bundle = load_bundle()
    backend = OnnxBackend(bundle, "cpu", batch_sizes=(1, 2, 4))
    alone, together = await alone_and_together(backend, vad, bundle, voice, 4)
    assert any(isinstance(event, Score) for event in alone[0])
    for one, other in zip(alone, together, strict=True):
        assert [type(e) for e in one] == [type(e) for e in other]
        for before, after in zip(one, other, strict=True):
            same(msgspec.to_builtins(before), msgspec.to_builtins(after))


async def test_streams_of_a_frames_graph_have_together_the_events_each_has_alone(
    frames_bundle: Bundle, vad: SileroVad, voice: Callable[..., Float32]
) -> None:
    backend = OnnxBackend(frames_bundle, "cpu")
    alone, together = await alone_and_together(backend, vad, frames_bundle, voice, 12)
    assert any(isinstance(event, Score) for event in alone[0])
    for one, other in zip(alone, together, strict=True):
        assert [type(e) for e in one] == [type(e) for e in other]
        for before, after in zip(one, other, strict=True):
            same(msgspec.to_builtins(before), msgspec.to_builtins(after))


def same(before: dict[str, object], after: dict[str, object]) -> None:
    """Equal but for figures, which may differ by what a batch does to an embedding."""
    assert before.keys() == after.keys()
    for key, value in before.items():
        if isinstance(value, float):
            # A calibrated ratio magnifies a cosine's error some hundred times at most.
            assert after[key] == pytest.approx(value, abs=100 * BATCH_TOLERANCE)
        else:
            assert after[key] == value
