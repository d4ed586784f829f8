from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamer.server.idle_limit import IdleLimit


class Clock:
    """The time of the event loop, which goes on when a test says so and not by itself."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def goes_on(self, seconds: float) -> None:
        """And whoever waited for that has their turn."""
        self.now += seconds
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", made)
    return made


async def wait(most_s: float, *warning: Any) -> None:
    async with IdleLimit(most_s, *warning) as idle:
        idle.begins()
        await asyncio.Event().wait()


async def test_a_wait_that_does_not_end_is_cut_off() -> None:
    with pytest.raises(TimeoutError):
        await wait(0.05)


async def test_short_waits_may_last_longer_together(clock: Clock) -> None:
    async with IdleLimit(1.0) as idle:
        for _ in range(20):
            idle.begins()
            await clock.goes_on(0.9)
            idle.ends()


async def test_what_lies_between_two_waits_may_last(clock: Clock) -> None:
    async with IdleLimit(1.0) as idle:
        idle.begins()
        idle.ends()
        for _ in range(10):
            await clock.goes_on(0.9)


async def test_being_cancelled_is_no_timeout() -> None:
    task = asyncio.create_task(wait(30))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_wait_is_warned_of_once(clock: Clock) -> None:
    warned: list[float] = []
    async with IdleLimit(60.0, 40.0, lambda: warned.append(clock.now)) as idle:
        idle.begins()
        for _ in range(5):
            await clock.goes_on(11.0)
    assert warned == [144.0]


async def test_the_next_wait_is_warned_of_again(clock: Clock) -> None:
    warned: list[float] = []
    async with IdleLimit(60.0, 40.0, lambda: warned.append(clock.now)) as idle:
        for _ in range(2):
            idle.begins()
            for _ in range(5):
                await clock.goes_on(11.0)
            idle.ends()
    assert warned == [144.0, 199.0]


async def test_a_wait_that_was_warned_of_is_cut_off(clock: Clock) -> None:
    warned: list[float] = []
    waiting = asyncio.create_task(wait(60.0, 40.0, lambda: warned.append(clock.now)))
    await clock.goes_on(0.0)
    for _ in range(6):
        await clock.goes_on(11.0)
    with pytest.raises(TimeoutError):
        await waiting
    assert warned == [144.0]


async def test_where_the_machine_stood_still_for_so_long_nobody_is_warned(clock: Clock) -> None:
    waiting = asyncio.create_task(wait(60.0, 40.0, lambda: pytest.fail("it is too late")))
    await clock.goes_on(0.0)
    await clock.goes_on(70.0)
    with pytest.raises(TimeoutError):
        await waiting


async def test_what_comes_in_time_is_not_warned_of(clock: Clock) -> None:
    warned: list[float] = []
    async with IdleLimit(60.0, 40.0, lambda: warned.append(clock.now)) as idle:
        for _ in range(5):
            idle.begins()
            await clock.goes_on(39.0)
            idle.ends()
    assert warned == []
