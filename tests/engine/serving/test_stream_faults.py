"""Cancellation, closing and faults of one stream, which no other one notices."""

from __future__ import annotations

import asyncio
import threading

import pytest
from fake_backend import FakeBackend
from fake_talk import Gated, Talk, engine_with, read, sound, until, whole

from engine.errors import AudioError, EngineError
from engine.jobs import Result
from engine.speech.vad import SileroVad


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
