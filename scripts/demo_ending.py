"""How a demonstration ends: by itself, called off, or because its server has gone."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from voxwatch_client.errors import ClientError


async def until_called_off(demonstration: Coroutine[Any, Any, int]) -> int:
    """Its status; that of a shell where a signal ends it, when its server has ended, too."""
    loop, task, seen = asyncio.get_running_loop(), asyncio.current_task(), list[int]()
    assert task is not None

    def end(number: int) -> None:
        seen.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)
    try:
        return await _or_lost(demonstration)
    except asyncio.CancelledError:
        if not seen:
            raise
        return 128 + seen[0]


async def _or_lost(demonstration: Coroutine[Any, Any, int]) -> int:
    try:
        return await demonstration
    except* ClientError as lost:  # of one client or of several
        first: BaseException = lost
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        print(f"error: {first}", file=sys.stderr)
    return 1
