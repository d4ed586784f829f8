"""How often a client may claim somebody and not be them, so that nobody gets there by trying."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from streamer.server.limits.shares import Client

HOUR_S = 3600.0
KEPT = 65_536  # failures, of all clients


class Attempts:
    """Streams that claimed a name, were told a mismatch and never a match, within an hour.

    They count by the client and the name: nobody can lock others out. ``now`` is any clock, in
    seconds.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._failed: deque[tuple[float, Client, str]] = deque(maxlen=KEPT)

    def failed(self, client: Client, names: Iterable[str], now: float) -> None:
        """A stream has come to its end without a match."""
        self._failed.extend((now, client[:1], name) for name in names)

    def exhausted(self, client: Client, names: Iterable[str], now: float) -> bool:
        """Whether one of the names has been tried too often."""
        while self._failed and self._failed[0][0] <= now - HOUR_S:
            self._failed.popleft()
        wanted = set(names)
        if not wanted or len(self._failed) < self._most:
            return False
        counts = dict.fromkeys(wanted, 0)
        for _, who, name in self._failed:
            if who == client[:1] and name in wanted:
                counts[name] += 1
        return max(counts.values()) >= self._most
