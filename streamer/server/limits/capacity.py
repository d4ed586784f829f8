"""Whether one more live stream would still be served in time, by what those that run cost.

Their cost is measured: the time that the event loop and the inference threads work for them, over
the time that there is. Files do not count, as they have only what is left. How much of the time
streams may take is measured too: where their windows begin to be answered late, others may be at
work on the machine, there is less of it than the cores promise, and from then on less is let in.
What streams cost at a hop that was widened is not what they would cost at their own, so that
nobody is let in while it is. Times are passed in; nothing here reads a clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

SURE = 8  # streams that are let in whatever was measured
MOST = 0.7  # share of the time that streams may take: what comes at random is late beyond it
LEAST = 0.1  # share that they may take whatever was measured
BACK_OFF = 0.9  # of the share at which windows were late, from then on the most
REGAIN = 0.005  # by which that share grows each second, until it is MOST again
# Of a core, for a second of a stream in which somebody speaks: what it is thought to cost until it
# was measured, and the least and the most that is believed. The half of it is the event loop's.
FIRST_COST_S, LEAST_COST_S, MOST_COST_S = 0.02, 0.002, 0.2
SPEAKING = 0.25  # least share of the streams that speak, for their cost to be told from silence
NEWCOMER = 2.0  # times that cost for those whose own is not known yet
FEW_NEWCOMERS = 0.25  # share of the streams, up to which the cost is learned
SETTLE_S = 3.0  # until what a new stream costs is part of what is measured
SMOOTH = 0.4  # weight of the newest measurement
BEHIND_S = 0.5  # behind, from which on nobody is let in
LATE = 0.1  # of the windows answered late, from which on nobody is let in
HOLD_S = 2.0  # after the last time that it was so


@dataclass(frozen=True, slots=True)
class Work:
    """What has been done so far, in seconds: by the event loop, and by threads for live streams.

    ``windows`` of live streams were answered, ``late`` of them too late. ``behind_s`` is how far
    behind loop or threads are now, ``streams`` how many are live, in ``speaking`` of them somebody
    speaks, and ``widened`` tells whether they are scored less often than they ask for.
    """

    at_s: float
    loop_s: float
    threads_s: float
    streams: int
    speaking: int
    windows: int = 0
    late: int = 0
    behind_s: float = 0.0
    widened: bool = False


class Capacity:
    """Of a machine with so many ``cores`` for the server."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._last: Work | None = None
        self._share = 0.0  # of the time there is, by those that run
        self._most = MOST  # that they may take
        self._cost = self._share_of(FIRST_COST_S)  # of one stream
        self._late_at = float("-inf")
        self._newcomers: deque[float] = deque()  # when they were let in, within SETTLE_S

    def measured(self, work: Work) -> None:
        """The next measurement."""
        last, self._last = self._last, work
        if last is None or work.at_s <= last.at_s:
            return
        passed_s = work.at_s - last.at_s
        loop = (work.loop_s - last.loop_s) / passed_s
        threads = (work.threads_s - last.threads_s) / passed_s
        share = max(loop, (loop + threads) / self._cores)
        self._share += SMOOTH * (share - self._share)
        if _is_late(last, work):
            self._late(work.at_s)
            return
        self._most = min(self._most + REGAIN * passed_s, MOST)
        self._learn(share, work)

    def has_room(self, now: float, streams: int) -> bool:
        """Whether another would be served in time beside so many."""
        newcomers = self._newcomers_at(now)
        if max(streams, newcomers) < SURE:  # who was just let in may not be open yet
            return True
        if now < self._late_at + HOLD_S:
            return False
        return self._share + NEWCOMER * (newcomers + 1) * self._cost <= self._most

    def let_in(self, now: float) -> None:
        """One more stream has been let in."""
        self._newcomers.append(now)

    def _learn(self, share: float, work: Work) -> None:
        """What one stream costs, as if all the ``share`` were of those in which somebody speaks.

        Who is silent may speak, so that what silence costs tells nothing.
        """
        speaking = min(work.speaking, work.streams)
        few = self._newcomers_at(work.at_s) <= FEW_NEWCOMERS * work.streams
        if speaking and speaking >= SPEAKING * work.streams and few:
            least, most = self._share_of(LEAST_COST_S), self._share_of(MOST_COST_S)
            self._cost += SMOOTH * (min(max(share / speaking, least), most) - self._cost)

    def _share_of(self, cost_s: float) -> float:
        """What that takes of the time there is. More cores do not make the one loop faster."""
        return cost_s / min(self._cores, 2)

    def _late(self, now: float) -> None:
        """What was taken when it began to be late was too much."""
        if now >= self._late_at + HOLD_S:
            self._most = max(min(self._most, BACK_OFF * self._share), LEAST)
        self._late_at = now

    def _newcomers_at(self, now: float) -> int:
        while self._newcomers and self._newcomers[0] <= now - SETTLE_S:
            self._newcomers.popleft()
        return len(self._newcomers)


def _is_late(last: Work, work: Work) -> bool:
    """Whether streams were late between the two, or were kept from it by a wider hop."""
    windows, late = work.windows - last.windows, work.late - last.late
    return work.widened or work.behind_s > BEHIND_S or (late > 1 and late > LATE * windows)
