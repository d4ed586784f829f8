"""How often a client may claim somebody and not be them, so that nobody gets there by trying."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from engine.events import Decision, Utterance
from streamer.server.limits.shares import Client

HOUR_S = 3600.0
KEPT = 65_536  # names of clients whose failures are kept; the one that failed longest ago goes


class Attempts:
    """Tries at a name that failed, within an hour.

    They count by the client and the name: nobody can lock others out. ``now`` is any clock, in
    seconds.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._failed: dict[
            tuple[Client, str], deque[float]
        ] = {}  # the one that failed last is last

    def failed(self, client: Client, names: Iterable[str], now: float) -> None:
        """A try has failed."""
        for name in names:
            key = client[:1], name
            times = self._failed[key] = self._failed.pop(key, deque(maxlen=self._most))
            times.append(now)
        while len(self._failed) > KEPT:
            del self._failed[next(iter(self._failed))]

    def forgive(self, client: Client, name: str, count: int) -> None:
        """The last ``count`` failures were of the one whose name it is, after all."""
        times = self._failed.get((client[:1], name), deque())
        for _ in range(min(count, len(times))):
            times.pop()

    def left(self, client: Client, names: Iterable[str], now: float) -> int:
        """How many tries are left for the name that was tried most often."""
        counts = (self._count((client[:1], name), now) for name in names)
        return self._most - max(counts, default=0)

    def _count(self, key: tuple[Client, str], now: float) -> int:
        times = self._failed.get(key, deque())
        while times and times[0] <= now - HOUR_S:
            times.popleft()
        return len(times)


class Tries:
    """What one stream has tried at its claim since its start, a reset or another claim.

    A turn that is told ``mismatch`` is a try, unless it is of a voice in the background; a match
    makes good for those of that name before it. A stream without such turns is one try, which has
    failed if it was told a mismatch and never a match.
    """

    def __init__(self, attempts: Attempts, client: Client) -> None:
        self._attempts, self._client = attempts, client
        self._turns: dict[str, int] = {}  # mismatches since the last match, by name
        self._since = 0.0  # media time, in seconds
        self._counted = self._matched = self._mismatched = False

    def tell(self, event: Decision | Utterance, now: float) -> None:
        """A decision on the stream, or a verdict on a turn of it."""
        name, begun = event.speaker, event.start if isinstance(event, Utterance) else event.t
        if begun < self._since:  # of the try before
            return
        if event.state == "match" and name is not None:
            self._matched = True
            self._attempts.forgive(self._client, name, self._turns.pop(name, 0))
        elif event.state == "mismatch":
            self._mismatched = True
            if isinstance(event, Utterance) and name is not None and not event.background:
                self._counted = True
                self._turns[name] = self._turns.get(name, 0) + 1
                self._attempts.failed(self._client, [name], now)

    def end(self, names: Iterable[str], now: float, t: float) -> None:
        """It is over with the sound until media time ``t``; what follows is another try."""
        if self._mismatched and not (self._matched or self._counted):
            self._attempts.failed(self._client, names, now)
        self._turns.clear()
        self._since = t
        self._counted = self._matched = self._mismatched = False
