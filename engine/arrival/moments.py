"""The time of day of media time: when the sound of a stream came."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

MERGED_S = 0.02  # Pieces that came within 20 ms have one time of day.


@dataclass(frozen=True, slots=True)
class Arrival:
    """When something came: by a clock that never jumps, and by the time of day.

    ``clock_s`` stands still while the sender is made to wait, as that says nothing of the sound,
    and is None for a file, whose pace says nothing either. ``unix_s`` counts from 1970. A message
    may be taken in parts: ``more_bytes`` of it came at the same time, and follow.
    """

    clock_s: float | None
    unix_s: float
    more_bytes: int = 0


class Moments:
    """When the sound up to each media sample came. It forgets what lies before the last asked."""

    def __init__(self) -> None:
        self._came: deque[tuple[int, float]] = deque()  # up to this sample, at this time
        self._told = 0.0

    def note(self, end: int, unix_s: float) -> None:
        """All the sound before media sample ``end`` is there by now."""
        if len(self._came) > 1:
            (_, before), (last, at) = self._came[-2], self._came[-1]
            if last < end and at - before < MERGED_S and unix_s - before < MERGED_S:
                self._came.pop()
        self._came.append((end, unix_s))

    def of(self, sample: int) -> str | None:
        """The time of day (RFC 3339) at which ``sample`` had come, never before the last told."""
        if not self._came:
            return None
        while len(self._came) > 1 and self._came[0][0] < sample:
            self._came.popleft()
        found = self._came[0][1]
        for (end, _), (after, unix_s) in pairwise(self._came):
            if not end == after == sample:
                break
            found = unix_s
        self._told = max(self._told, found)
        return rfc3339(self._told)


def rfc3339(unix_s: float) -> str:
    """A time of day as text, in UTC, with milliseconds."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
