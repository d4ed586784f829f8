"""How often a client may do something: a bucket each, that fills at an even rate."""

from __future__ import annotations

from streamer.server.limits.shares import Client

# Clients, from which on those are forgotten that have done nothing for a minute.
KEPT = 4096


class Rate:
    """``per_minute`` times a minute, as many at once at most. ``now`` is any clock, in seconds."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._most = KEPT
        self._used: dict[Client, tuple[float, float]] = {}  # how much of the bucket, and when

    def wait_s(self, client: Client, now: float) -> float:
        """How long the client has to wait; 0: it may, and that counts."""
        used, at = self._used.get(client, (0.0, now))
        used = max(0.0, used - (now - at) * self._per_minute / 60)
        if used + 1 > self._per_minute:
            return (used + 1 - self._per_minute) * 60 / self._per_minute
        if len(self._used) >= self._most:
            self._used = {c: (u, t) for c, (u, t) in self._used.items() if now - t < 60}
            self._most = max(KEPT, 2 * len(self._used))  # so that not every call looks at all
        self._used[client] = (used + 1, now)
        return 0.0
