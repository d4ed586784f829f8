"""Sound that came later than it was said, as the record tells of it.

Where sound is back after a stall, the record says how much of it came at once. That was said one
second after the other until it came; what is said of its time of day has to count back from there.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from engine import events
from streamer.records.entries import AnyEntry, Told

LEAST_S = 1.0  # Less than this is how a client cuts its sound into pieces.
OUTAGES = 256  # that are remembered of a stream


class _Late(NamedTuple):
    since: float  # media time
    until: float
    came_at: float  # seconds since 1970


class Lateness:
    """Of one stream."""

    def __init__(self) -> None:
        self._late: deque[_Late] = deque(maxlen=OUTAGES)

    def receive(self, entry: AnyEntry) -> None:
        """The next entry, whatever it is."""
        if not (isinstance(entry, Told) and isinstance(entry.event, events.Stalled)):
            return
        if entry.event.late_s >= LEAST_S:
            self._late.append(_Late(entry.t, entry.t + entry.event.late_s, entry.at))

    def said_at(self, t: float) -> float | None:
        """When the sound at a media time was said, in seconds since 1970; None: when it came."""
        late = self._of(t)
        return None if late is None else round(late.came_at - (late.until - t), 3)

    def came_at(self, t: float) -> float | None:
        """When it came, where that was noticeably later; else None."""
        late = self._of(t)
        return None if late is None or late.until - t < LEAST_S else late.came_at

    def _of(self, t: float) -> _Late | None:
        found = (late for late in reversed(self._late) if late.since <= t < late.until)
        return next(found, None)
