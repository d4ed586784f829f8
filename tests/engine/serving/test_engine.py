"""The service: every job answered, every stream by itself, nothing without bound."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from fake_backend import FakeBackend
from fake_talk import WINDOW, Float32, Gated, Talk, engine_with, read, sound, until, whole

from engine.errors import EngineError, ProviderError
from engine.events import Failure, Summary, Vad
from engine.model.bundle import Bundle
from engine.scoring.scorer import CalibratedScorer
from engine.serving import pool
from engine.serving.config import EngineConfig
from engine.serving.engine import Engine
from engine.serving.stream import PIECE_BYTES
from engine.session import Session
from engine.speech.vad import SileroVad


class Broken(FakeBackend):
    """Raises for every batch with a window louder than usual in it."""

    def embed(self, waveforms: Float32, /) -> Float32:
        if np.abs(waveforms).max() > 0.5:
            raise ValueError("too loud\nwith details")
        return super().embed(waveforms)


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


async def test_live_streams_in_which_somebody_speaks_are_counted(
    vad: SileroVad, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with engine_with(FakeBackend(), vad) as engine:
        live, file, _silent = (engine.open(Talk(), live=one) for one in (True, False, True))
        assert engine.speaking == 0
        for stream in (live, file):
            await stream.send(sound(3))
            await stream.finalize()
            await read(stream)
        assert engine.speaking == 1
        monkeypatch.setattr(pool, "SPEAKING_S", 0.0)
        assert engine.speaking == 0
        for _ in range(3):  # who has gone is not kept for ever
            another = engine.open(Talk(), live=True)
            await another.send(sound(1))
            await another.finalize()
            await read(another)
        assert len(engine._pool._spoke_s) == 1


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


@pytest.mark.parametrize("bad", [{"backlog_s": 0.0}, {"threads": 0}, {"unread_events": 0}])
def test_an_impossible_configuration_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        EngineConfig(**bad)
