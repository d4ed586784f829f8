"""The door of live streams: who comes while the machine is busy waits a little, or comes later."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from engine.serving.engine import Engine
from streamer.server.limits.capacity import Capacity, Work
from streamer.wire.errors import WireError

MEASURE_S = 0.5
WAIT_S = 4.0  # for room, longer than a newcomer counts as one, before a client is told to come back
WAITING = 64  # clients at a time
RETRY_S = 5.0


class Admission:
    """``streams`` tells how many live streams there are."""

    def __init__(self, engine: Engine, streams: Callable[[], int]) -> None:
        self._engine, self._streams = engine, streams
        self._capacity = Capacity(engine.threads)
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[asyncio.Future[None]] = deque()  # first come, first served

    async def enter(self) -> None:
        """Wait until one more stream can be served. Raises :class:`WireError` ``overloaded``."""
        if not self._waiting and self._let_one_in():
            return
        if len(self._waiting) < WAITING:
            turn = self._loop.create_future()
            self._waiting.append(turn)
            try:
                async with asyncio.timeout(WAIT_S):
                    await turn
                return
            except TimeoutError:
                pass
            finally:
                if turn in self._waiting:
                    self._waiting.remove(turn)
        raise WireError("overloaded", "the machine is busy with other streams", retry_s=RETRY_S)

    async def measure(self) -> None:
        """Measure for as long as the server runs, and let in those for whom there is room."""
        due_s = self._loop.time()
        while True:
            due_s = max(due_s + MEASURE_S, self._loop.time())
            await asyncio.sleep(due_s - self._loop.time())
            now = self._loop.time()
            self._capacity.measured(self._work(now, now - due_s))
            while self._waiting and (self._waiting[0].done() or self._let_one_in()):
                turn = self._waiting.popleft()
                if not turn.done():
                    turn.set_result(None)

    def _work(self, now: float, loop_late_s: float) -> Work:
        engine = self._engine
        windows, late = engine.live_windows
        return Work(
            at_s=now,
            loop_s=time.thread_time() - engine.files_s,
            threads_s=engine.live_s,
            streams=self._streams(),
            windows=windows,
            late=late,
            speaking=engine.speaking,
            behind_s=max(loop_late_s, engine.late_s),
            widened=engine.hop_s > 0,
        )

    def _let_one_in(self) -> bool:
        now = self._loop.time()
        if not self._capacity.has_room(now, self._streams()):
            return False
        self._capacity.let_in(now)
        return True
