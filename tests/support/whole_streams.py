"""A client that sends all of a sound and notes all that it is told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from voxwatch_client import Timing, connect

SWIFT = Timing(ping_interval_s=0.05, ping_timeout_s=0.2)


async def stream_all(
    url: str,
    pcm: bytes,
    *,
    timing: Timing = SWIFT,
    disturb: Callable[[int], None] = lambda count: None,
    **options: Any,
) -> tuple[list[Any], int]:
    """Send ``pcm`` in uneven pieces; all events, and how often the client reconnected."""
    told: list[Any] = []
    cuts = random.Random(1)
    async with connect(url, timing=timing, **options) as stream:

        async def send() -> None:
            rest = pcm
            while rest:
                size = cuts.randint(1, 9000)
                await stream.send(rest[:size])
                rest = rest[size:]
            await stream.finalize()

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            async for event in stream:
                told.append(event)
                disturb(len(told))
        return told, stream.reconnections
