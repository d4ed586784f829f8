"""What follows from time without sound, on the event loop that the server runs on, and on Python's.

uvloop's handle for a time that has passed already is no timer, and knows no time.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from fake_backend import FakeBackend
from fake_talk import Talk, engine_with, sound, until

from engine.arrival.moments import Arrival
from engine.speech.vad import SileroVad

Loop = Callable[[], asyncio.AbstractEventLoop]


def loops() -> list[Any]:
    if sys.platform == "win32":
        return [asyncio.new_event_loop]
    uvloop = pytest.importorskip("uvloop")
    return [asyncio.new_event_loop, uvloop.new_event_loop]


LOOPS = pytest.mark.parametrize("loop", loops(), ids=lambda loop: loop.__module__)


class Timed(Talk):
    """It wants to hear of the time so many seconds after sound came, which may be before it did."""

    def __init__(self, *after_s: float) -> None:
        super().__init__()
        self._after_s = list(after_s)
        self._came: float | None = None
        self.heard: list[float] = []
        self.came: list[float | None] = []

    @property
    def next_s(self) -> float | None:  # type: ignore[override]  # it is none for those that ask never
        if self._came is None or len(self.heard) >= len(self._after_s):
            return None
        return self._came + self._after_s[len(self.heard)]

    def receive_pcm(self, data: bytes, arrived: Arrival) -> None:
        super().receive_pcm(data, arrived)
        self._came = arrived.clock_s
        self.came.append(self._came)

    def pass_time(self, now: Arrival) -> None:
        assert now.clock_s is not None
        self.heard.append(now.clock_s)


def run(loop: Loop, test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(test)


@LOOPS
@pytest.mark.parametrize("after_s", [-1.0, -1e-6, 0.0, 1e-4, 0.02])
def test_a_time_that_has_passed_is_told_and_sound_goes_on(
    loop: Loop, after_s: float, vad: SileroVad
) -> None:
    async def test() -> None:
        talk = Timed(after_s, after_s, after_s)
        async with engine_with(FakeBackend(), vad) as engine:
            stream = engine.open(talk, live=True)
            for _ in range(20):
                await stream.send(sound(1))
            await until(lambda: len(talk.heard) == 3)
            await stream.close()

    run(loop, test())


@LOOPS
def test_an_earlier_time_takes_the_place_of_a_later_one(loop: Loop, vad: SileroVad) -> None:
    async def test() -> None:
        talk = Timed(3600.0)
        async with engine_with(FakeBackend(), vad) as engine:
            stream = engine.open(talk, live=True)
            await stream.send(sound(1))
            talk._after_s = [-1.0]
            await stream.send(sound(1))
            await until(lambda: len(talk.heard) == 1)
            await stream.close()

    run(loop, test())


@LOOPS
def test_the_clock_loses_no_more_than_was_waited_for(loop: Loop, vad: SileroVad) -> None:
    """By it the pace of the sound is measured, which would seem to be faster, or none at all."""

    async def test() -> None:
        talk = Timed(*[0.01] * 50)
        async with engine_with(FakeBackend(), vad) as engine:
            stream = engine.open(talk, live=True)
            stream.made_to_wait = lambda: True
            for _ in range(5):
                await stream.send(sound(1))
                await asyncio.sleep(0.03)
            await stream.close()
        clock = [came for came in talk.came if came is not None]
        assert clock == sorted(clock)
        assert clock[-1] - clock[0] > 0.039  # each time it was late by 0.01 s at least

    run(loop, test())
