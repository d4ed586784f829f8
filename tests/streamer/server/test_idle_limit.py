from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from streamer.server.idle_limit import IdleLimit


async def wait(most_s: float) -> None:
    async with IdleLimit(most_s) as idle:
        idle.begins()
        await asyncio.sleep(30)


async def test_a_wait_that_does_not_end_is_cut_off() -> None:
    with pytest.raises(TimeoutError):
        await wait(0.05)


async def test_short_waits_may_last_longer_together() -> None:
    async with IdleLimit(0.3) as idle:
        for _ in range(20):
            idle.begins()
            await asyncio.sleep(0.03)
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


async def test_a_wait_is_warned_of_once_before_it_is_cut_off() -> None:
    warned: list[int] = []
    with suppress(TimeoutError):
        async with IdleLimit(0.4, 0.1, lambda: warned.append(1)) as idle:
            idle.begins()
            await asyncio.sleep(0.2)
            idle.ends()
            assert warned == [1]
            idle.begins()
            await asyncio.sleep(30)
            pytest.fail("it was not cut off")
    assert warned == [1, 1]


async def test_what_comes_in_time_is_not_warned_of() -> None:
    warned: list[int] = []
    async with IdleLimit(5.0, 2.0, lambda: warned.append(1)) as idle:
        for _ in range(5):
            idle.begins()
            await asyncio.sleep(0.01)
            idle.ends()
        await asyncio.sleep(0.05)
    assert warned == []
