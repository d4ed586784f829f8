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


async def test_files_come_up_in_the_order_in_which_they_came() -> None:
    leisure, order = Leisure(), []

    async def send(name: str) -> None:
        for _ in range(3):
            await leisure.wait()
            order.append(name)
            leisure.spent(0.001)

    await asyncio.gather(send("a"), send("b"))
    assert order == ["a", "b"] * 3
