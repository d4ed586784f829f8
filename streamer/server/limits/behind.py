"""When a live stream is told that its sound waits unread: it would else be late in silence."""

from __future__ import annotations

BEHIND_S = 1.0  # of sound that waits, from which on it is told
LOOK_S = 0.5  # between two looks
AGAIN_S = 2.0  # between two times that it is told


class Behind:
    """Times are passed in, in seconds of any clock."""

    def __init__(self) -> None:
        self._next_look = float("-inf")
        self._told_at: float | None = None  # when it was last told to be behind

    def due(self, now: float) -> bool:
        """Whether it is time for another look."""
        if now < self._next_look:
            return False
        self._next_look = now + LOOK_S
        return True

    def look(self, now: float, waiting_s: float) -> float | None:
        """So much sound waits: how much to tell, if anything; 0 when it is on time again."""
        if waiting_s > BEHIND_S:
            if self._told_at is not None and now < self._told_at + AGAIN_S:
                return None
            self._told_at = now
            return round(waiting_s, 3)
        if self._told_at is not None and waiting_s < BEHIND_S / 2:
            self._told_at = None
            return 0.0
        return None
