"""How much sound one client address may send in an hour."""

from __future__ import annotations

from collections import defaultdict, deque

BIN_S = 60.0
HOUR_S = 3600.0


class Quota:
    """Seconds of sound by address over the last hour, counted by the minute. ``now``: any clock."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._minutes: deque[tuple[float, dict[str, float]]] = deque()  # 62 at most, oldest first
        self._total: dict[str, float] = defaultdict(float)

    def take(self, address: str, seconds: float, now: float) -> bool:
        """Count sound and say whether it was still within the limit; if not, it is not counted."""
        self._forget(now)
        if self._total.get(address, 0.0) + seconds > self._limit_s:
            return False
        if not self._minutes or now - self._minutes[-1][0] >= BIN_S:
            self._minutes.append((now, defaultdict(float)))
        self._minutes[-1][1][address] += seconds
        self._total[address] += seconds
        return True

    def _forget(self, now: float) -> None:
        # A minute is forgotten when its end, not its beginning, is an hour ago.
        while self._minutes and now - self._minutes[0][0] >= HOUR_S + BIN_S:
            _, gone = self._minutes.popleft()
            for address, seconds in gone.items():
                self._total[address] -= seconds
                if self._total[address] <= 1e-6:
                    del self._total[address]
