"""Tasks that run side by side, and end together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def beside(main: Coroutine[Any, Any, T], *others: Coroutine[Any, Any, None]) -> T:
    """The result of ``main``, with ``others`` running beside it; they are cancelled when it ends.

    The first failure of any of them ends all, and is raised itself, not within a group.
    """
    failure: BaseException
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(other) for other in others]
            result = await main
            for task in tasks:
                task.cancel()
        return result
    except BaseExceptionGroup as failed:
        failure = failed.exceptions[0]
    raise failure
