"""How long one may wait for the other side, at the price of a clock reading."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType


class IdleLimit:
    """An async context in which no wait may last ``most_s``: :class:`TimeoutError` then.

    A wait lies between :meth:`begins` and :meth:`ends`. No timer is set for it: one looks
    after them all, about once in ``most_s``. `asyncio.timeout`, moved twice for every message
    of a stream, took 4 % of what the event loop did. ``warn`` is called once in a wait that has
    lasted for ``warn_s``.
    """

    def __init__(
        self,
        most_s: float,
        warn_s: float | None = None,
        warn: Callable[[], None] = lambda: None,
    ) -> None:
        self._most_s, self._warn = most_s, warn
        self._warn_s = most_s if warn_s is None else warn_s
        self._warned_of: float | None = None  # the beginning of the wait that was warned of
        self._since: float | None = None  # since when it waits
        self._loop = asyncio.get_running_loop()
        self._timeout = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> IdleLimit:
        await self._timeout.__aenter__()
        self._look()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer:
            self._timer.cancel()
        await self._timeout.__aexit__(kind, error, trace)

    def begins(self) -> None:
        """A wait begins."""
        self._since = self._loop.time()

    def ends(self) -> None:
        """It is over."""
        self._since = None

    def _look(self) -> None:
        now = self._loop.time()
        since = now if self._since is None else self._since
        if since + self._most_s <= now:
            self._timeout.reschedule(now)
            return
        if self._warned_of != since and since + self._warn_s <= now:
            self._warned_of = since
            self._warn()
        most_s = self._most_s if self._warned_of == since else self._warn_s
        self._timer = self._loop.call_at(since + most_s, self._look)
