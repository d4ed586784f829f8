"""Files take turns on the event loop, and leave it to others between."""

from __future__ import annotations

import asyncio
import time

from engine.serving.leisure import REST, Leisure


async def test_a_piece_waits_until_the_loop_has_been_free_for_a_while() -> None:
    leisure = Leisure()
    await leisure.wait()
    leisure.spent(0.02)
    began = time.monotonic()
    await leisure.wait()
    assert time.monotonic() - began >= 0.9 * REST * 0.02


async def test_a_file_waits_for_one_piece_of_each_other_file() -> None:
    leisure, order = Leisure(), []

    async def send(name: str, pieces: int) -> None:
        for _ in range(pieces):
            await leisure.wait()
            order.append(name)
            leisure.spent(0.001)

    await asyncio.gather(send("long", 20), send("short", 3))
    assert order[:8].count("short") == 3
