"""A client that sends all of a sound and notes all that it is told, and whether that is whole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from scripted_server import STEP_BYTES, STEP_S, Scripted

from voxwatch_client import Timing, connect
from voxwatch_client.messages import Quality, Summary

SWIFT = Timing(ping_interval_s=0.1, ping_timeout_s=1.0)


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


def sound(seconds: float, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(int(seconds * 32_000))


def check_complete(server: Scripted, pcm: bytes, told: list[Any]) -> None:
    """Not a byte and not an event too few or too many."""
    assert server.only.received == pcm
    assert [event.seq for event in told] == list(range(1, len(server.only.said) + 1))
    steps = [e.t for e in told if isinstance(e, Quality)]
    assert steps == pytest.approx([STEP_S * (i + 1) for i in range(len(pcm) // STEP_BYTES)])
    assert isinstance(told[-1], Summary)
