"""What time of day it was when so much sound had come."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import datetime, tzinfo

SAME_S = 0.01  # Media times that differ by less are one.


class Clock:
    """Times of day by media time, from moments of which both are known.

    ``moments`` are pairs of media time and seconds since 1970. Between two of them the clock goes
    on from the first one, but not beyond the second: a file that is sent fast is over sooner than
    it lasts. Before the first it goes back from it.
    """

    def __init__(self, moments: Iterable[tuple[float, float]], zone: tzinfo) -> None:
        self._moments = sorted(moments)
        self._media = [t for t, _ in self._moments]
        self.zone = zone

    def at(self, t: float) -> datetime:
        """The time of day at a media time."""
        return self.of(self._seconds(t))

    def until(self, t: float) -> datetime:
        """When what ends at a media time ended: before the pause, where one follows there."""
        first = bisect_left(self._media, t - SAME_S)
        if first < len(self._media) and self._media[first] <= t + SAME_S:
            return self.of(self._moments[first][1])
        return self.at(t)

    def span(self, since: float, until: float) -> tuple[datetime, datetime]:
        """When what lies between two media times began and ended, which is no earlier.

        Of sound that came late the time of day is reckoned back, by what the client said.
        """
        began = self.at(since)
        return began, max(began, self.until(until))

    def of(self, seconds: float) -> datetime:
        """Seconds since 1970 in the zone."""
        return datetime.fromtimestamp(round(seconds, 3), self.zone)

    def _seconds(self, t: float) -> float:
        before = bisect_right(self._media, t) - 1
        if before < 0:
            first_t, first_at = self._moments[0]
            return first_at - (first_t - t)
        known_t, known_at = self._moments[before]
        found = known_at + (t - known_t)
        if before + 1 < len(self._moments):
            return min(found, max(self._moments[before + 1][1], known_at))
        return found
