from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamer.server.idle_limit import IdleLimit


async def wait(most_s: float, *warning: Any) -> None:
    async with IdleLimit(most_s, *warning) as idle:
        idle.begins()
        await asyncio.sleep(30)


async def test_a_wait_that_does_not_end_is_cut_off() -> None:
    with pytest.raises(TimeoutError):
        await wait(0.05)


async def test_short_waits_may_last_longer_together() -> None:
    async with IdleLimit(1.0) as idle:
        for _ in range(20):
            idle.begins()
            await asyncio.sleep(0.06)
            idle.ends()


async def test_what_lies_between_two_waits_may_last() -> None:
    async with IdleLimit(0.05) as idle:
        idle.begins()
        idle.ends()
        await asyncio.sleep(0.3)


async def test_being_cancelled_is_no_timeout() -> None:
    task = asyncio.create_task(wait(30))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Warned(list[None]):
    """The warnings so far."""

    def __init__(self) -> None:
        super().__init__()
        self.came = asyncio.Event()

    def __call__(self) -> None:
        self.append(None)
        self.came.set()


async def test_a_wait_is_warned_of_once() -> None:
    warned = Warned()
    async with IdleLimit(60.0, 0.05, warned) as idle:
        idle.begins()
        await warned.came.wait()
        await asyncio.sleep(0.1)
    assert len(warned) == 1


async def test_the_next_wait_is_warned_of_again() -> None:
    warned = Warned()
    async with IdleLimit(2.0, 1.0, warned) as idle:
        for _ in range(2):
            idle.begins()
            await warned.came.wait()
            idle.ends()
            warned.came.clear()
    assert len(warned) == 2


async def test_a_wait_that_was_warned_of_is_cut_off() -> None:
    warned = Warned()
    with pytest.raises(TimeoutError):
        await wait(0.4, 0.2, warned)
    assert len(warned) <= 1  # none where the machine stood still for so long


async def test_what_comes_in_time_is_not_warned_of() -> None:
    warned: list[int] = []
    async with IdleLimit(5.0, 2.0, lambda: warned.append(1)) as idle:
        for _ in range(5):
            idle.begins()
            await asyncio.sleep(0.01)
            idle.ends()
        await asyncio.sleep(0.05)
    assert warned == []
