"""Files take turns on the event loop, and leave it to others between."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest

from engine.serving.leisure import REST, Leisure


async def test_a_piece_waits_until_the_loop_has_been_free_for_a_while() -> None:
    leisure = Leisure(lambda: True)
    await leisure.wait()
    began = time.monotonic()
    leisure.spent(0.02)
    await leisure.wait()
    assert time.monotonic() - began >= 0.9 * REST * 0.02


async def test_without_live_streams_no_piece_waits() -> None:
    leisure = Leisure(lambda: False)
    await leisure.wait()
    leisure.spent(3600.0)
    await asyncio.wait_for(leisure.wait(), 60.0)


@pytest.mark.parametrize("live", [True, False])
async def test_the_loop_comes_to_others_between_two_pieces(live: bool) -> None:
    leisure, order = Leisure(lambda: live), []
    done = asyncio.Event()

    async def send() -> None:
        await leisure.wait()
        order.append("piece")
        leisure.spent(0.0)

    async def other() -> None:
        while not done.is_set():
            order.append("other")
            await asyncio.sleep(0)

    others = asyncio.create_task(other())
    await asyncio.gather(*(send() for _ in range(20)))
    done.set()
    await others
    assert order.count("piece") == 20
    assert all(pair != ("piece", "piece") for pair in pairwise(order))


@pytest.mark.parametrize("live", [True, False])
async def test_a_file_waits_for_one_piece_of_each_other_file(live: bool) -> None:
    leisure, order = Leisure(lambda: live), []

    async def send(name: str, pieces: int) -> None:
        for _ in range(pieces):
            await leisure.wait()
            order.append(name)
            leisure.spent(0.001)

    await asyncio.gather(send("long", 20), send("short", 3))
    assert order[:8].count("short") == 3
