"""Tasks that live and die together."""

from __future__ import annotations

import asyncio

import pytest

from streamer.tasks import beside


async def forever(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("ended")


async def fail(message: str) -> None:
    await asyncio.sleep(0)
    raise KeyError(message)


async def test_the_others_end_with_the_first() -> None:
    ended: list[str] = []
    assert await beside(asyncio.sleep(0, "done"), forever(ended), forever(ended)) == "done"
    assert ended == ["ended", "ended"]


async def test_a_failure_of_any_ends_all_and_is_raised_itself() -> None:
    ended: list[str] = []
    with pytest.raises(KeyError, match="main"):
        await beside(fail("main"), forever(ended))
    with pytest.raises(KeyError, match="other"):
        await beside(forever(ended), fail("other"))
    assert ended == ["ended", "ended"]


async def test_cancelling_cancels_all() -> None:
    ended: list[str] = []
    task = asyncio.create_task(beside(forever(ended), forever(ended)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["ended", "ended"]
