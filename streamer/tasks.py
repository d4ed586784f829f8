"""Tasks that run side by side, and end together. For the server, the client and the commands."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def cancelled() -> bool:
    """Whether the task that runs has been told to end.

    Before Python 3.12 `asyncio.wait_for`, by which aiomqtt waits for a broker, swallows that where
    the answer comes at the same moment. Whoever waits for ever after such a call asks here first.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


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
