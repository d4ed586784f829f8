"""Files take the event loop one after the other, and leave most of its time to live streams.

Between two pieces of files the loop comes to everything else that waits for it: a hundred files
that begin at once would otherwise keep a client that connects waiting for ten seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

REST = 2.0  # times as long as a piece of a file took, the loop is free of files


class Leisure:
    """The turn of one file at a time; with ``anybody_live`` the loop rests between them."""

    def __init__(self, anybody_live: Callable[[], bool]) -> None:
        self._anybody_live = anybody_live
        self._turn = asyncio.Lock()  # first come, first served
        self._free_s = 0.0  # on the clock of `time.monotonic`
        self.spent_s = 0.0  # of the loop's time so far

    async def wait(self) -> None:
        """Until the next piece of a file may be dealt with. :meth:`spent` follows at once."""
        async with self._turn:
            await asyncio.sleep(0)
            while self._anybody_live() and (wait_s := self._free_s - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)

    def spent(self, seconds: float) -> None:
        """A piece has taken so much of the loop's time."""
        self._free_s = time.monotonic() + REST * seconds
        self.spent_s += seconds
