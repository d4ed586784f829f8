"""When the server's clock jumped: it did not run, as a laptop that sleeps, or was put forward.

Who spoke meanwhile was not silent. The clock is looked at each second.
"""

from __future__ import annotations

from collections import deque

AWAY_S = 5.0  # A server that runs looks at the clock more often, however busy it is.
MOST = 64  # spans that are kept; streams ask each second


class Wakefulness:
    """Of one process. Times are in seconds since 1970."""

    def __init__(self) -> None:
        self._looked: float | None = None
        self._spans: deque[tuple[float, float]] = deque(maxlen=MOST)
        self.count = 0  # of all spans so far

    def look(self, now: float) -> None:
        """So late it is, at this moment."""
        if self._looked is not None and now - self._looked > AWAY_S:
            self._spans.append((round(self._looked, 3), round(now, 3)))
            self.count += 1
        self._looked = now

    def after(self, count: int) -> list[tuple[float, float]]:
        """The spans, from when to when, that came after the first ``count``."""
        new = min(self.count - count, len(self._spans))
        return list(self._spans)[len(self._spans) - new :]
