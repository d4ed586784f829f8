"""How much sound one client may send in an hour."""

from __future__ import annotations

from collections import defaultdict, deque

BIN_S = 60.0
HOUR_S = 3600.0


class Quota:
    """Seconds of sound by client over the last hour, counted by the minute. ``now``: any clock."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._minutes: deque[tuple[float, dict[str, float]]] = deque()  # 62 at most, oldest first
        self._total: dict[str, float] = defaultdict(float)

    def exhausted(self, client: str, now: float) -> bool:
        """Whether the client has sent its sound."""
        self._forget(now)
        return self._total.get(client, 0.0) >= self._limit_s

    def spend(self, client: str, seconds: float, now: float) -> None:
        """Count sound, within the limit or not."""
        self._forget(now)
        if not self._minutes or now - self._minutes[-1][0] >= BIN_S:
            self._minutes.append((now, defaultdict(float)))
        self._minutes[-1][1][client] += seconds
        self._total[client] += seconds

    def _forget(self, now: float) -> None:
        # A minute is forgotten when its end, not its beginning, is an hour ago.
        while self._minutes and now - self._minutes[0][0] >= HOUR_S + BIN_S:
            _, gone = self._minutes.popleft()
            for client, seconds in gone.items():
                self._total[client] -= seconds
                if self._total[client] <= 1e-6:
                    del self._total[client]
