from __future__ import annotations

import asyncio

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
