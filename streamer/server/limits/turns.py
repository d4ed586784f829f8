"""Whose bytes are read next: a client that sends too many messages waits, and nobody else does.

To take a message apart costs the event loop much the same whether it holds a second of sound or
one byte. So each client has an allowance of the loop's time for that. Sound in real time needs a
small part of it. Whoever has used it up waits in a line, and the clients in that line share a
quarter of the loop's time, one slice of bytes after the other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

SLICE_BYTES = 4096  # taken apart at a time: some 600 messages of one byte
RATE = 0.02  # seconds of the loop's time that a client gets for its messages each second
SAVED_S = 0.05  # the most that it saves up
TURN_S = 0.002  # the loop's time for those that wait, in one go
REST = 3.0  # times as long everybody else has the loop before the next go


class Allowance:
    """One client's share of the event loop's time, in seconds. ``now`` is any clock."""

    def __init__(self, now: float) -> None:
        self._left_s, self._at = SAVED_S, now

    def any_left(self, now: float) -> bool:
        """Whether the client may go on at ``now``."""
        self._left_s = min(SAVED_S, self._left_s + RATE * (now - self._at))
        self._at = now
        return self._left_s > 0

    def spend(self, seconds: float) -> None:
        """So much of the loop's time went into its messages."""
        self._left_s -= seconds


class Waiting(Protocol):
    """A client with bytes that are not taken apart yet."""

    def take_turn(self) -> float:
        """Take a slice apart. The seconds of the loop's time that it costs, 0 for none left."""


class Turns:
    """The line of those that wait, each of them once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._line: deque[Waiting] = deque()  # bounded by the connections
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._line)

    def wait(self, client: Waiting) -> None:
        """Get in line."""
        self._line.append(client)
        if self._timer is None:
            self._timer = self._loop.call_later(TURN_S * REST, self._run)

    def _run(self) -> None:
        spent_s = 0.0
        while self._line and spent_s < TURN_S:
            client = self._line.popleft()
            if cost_s := client.take_turn():
                spent_s += cost_s
                self._line.append(client)
        rest_s = max(TURN_S, spent_s) * REST
        self._timer = self._loop.call_later(rest_s, self._run) if self._line else None
