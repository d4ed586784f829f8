"""Whether one more live stream would still be served in time, by what those that run cost.

Their cost is measured: the time that the event loop and the inference threads work for them, over
the time that there is. Files do not count, as they have only what is left. Times are passed in;
nothing here reads a clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

SURE = 8  # streams that are let in whatever was measured
MOST = 0.85  # share of the time that streams may take
FIRST_COST_S = 0.02  # of a core for a second of a stream, until more is known
COSTS_S = (0.001, 0.2)  # between which a measured cost is believed
SETTLE_S = 3.0  # until what a new stream costs is part of what is measured
SMOOTH = 0.4  # weight of the newest measurement
LATE_S = 0.5  # behind, from which on nobody is let in
LATE_HOLD_S = 2.0  # after the last time that it was so far behind


@dataclass(frozen=True, slots=True)
class Work:
    """What has been done so far, in seconds: by the event loop, and by threads for live streams.

    ``late_s`` is how far behind either is now, ``streams`` how many are live.
    """

    at_s: float
    loop_s: float
    threads_s: float
    late_s: float
    streams: int


class Capacity:
    """Of a machine with so many ``cores`` for the server."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._last: Work | None = None
        self._share = 0.0  # of the time there is, by those that run
        self._cost = FIRST_COST_S / cores  # of one stream, as such a share
        self._late_at = float("-inf")
        self._newcomers: deque[float] = deque()  # when they were let in, within SETTLE_S

    def measured(self, work: Work) -> None:
        """The next measurement."""
        last, self._last = self._last, work
        if work.late_s > LATE_S:
            self._late_at = work.at_s
        if last is None or work.at_s <= last.at_s:
            return
        passed_s = work.at_s - last.at_s
        loop = (work.loop_s - last.loop_s) / passed_s
        threads = (work.threads_s - last.threads_s) / passed_s
        share = max(loop, (loop + threads) / self._cores)
        self._share += SMOOTH * (share - self._share)
        settled = min(last.streams, work.streams)
        if settled and not self._newcomers_at(work.at_s):
            low, high = (cost / self._cores for cost in COSTS_S)
            self._cost += SMOOTH * (min(max(share / settled, low), high) - self._cost)

    def has_room(self, now: float, streams: int) -> bool:
        """Whether another would be served in time beside so many."""
        if streams < SURE:
            return True
        if now < self._late_at + LATE_HOLD_S:
            return False
        return self._share + (self._newcomers_at(now) + 1) * self._cost <= MOST

    def let_in(self, now: float) -> None:
        """One more stream has been let in."""
        self._newcomers.append(now)

    def _newcomers_at(self, now: float) -> int:
        while self._newcomers and self._newcomers[0] <= now - SETTLE_S:
            self._newcomers.popleft()
        return len(self._newcomers)
