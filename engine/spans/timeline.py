"""Where net speech lies in the media: a stream's speech is made of runs of unbroken sound."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import itemgetter


class Timeline:
    """Maps places in net speech to media samples, both at 16 kHz."""

    def __init__(
        self, runs: list[tuple[int, int]] | None = None, position: int = 0, media: int = 0
    ) -> None:
        self._runs = runs or []  # (position, media) at which sound is unbroken
        self.position, self.media = position, media  # just past the last sample of speech

    def push(self, start: int, samples: int) -> None:
        """Speech of so many samples at media sample ``start``."""
        if samples and (start != self.media or not self._runs):
            self._runs.append((self.position, start))
        if samples:
            self.position, self.media = self.position + samples, start + samples

    def begins(self, position: int) -> int:
        """The media sample of the speech that begins at ``position``."""
        return self._media(bisect_right(self._runs, position, key=itemgetter(0)), position)

    def ends(self, position: int) -> int:
        """The media sample just past the speech that ends at ``position``."""
        return self._media(bisect_left(self._runs, position, key=itemgetter(0)), position)

    def runs(self, start: int, end: int) -> tuple[tuple[int, int], ...]:
        """The runs with speech between two places: where each begins, in net speech and media."""
        first = max(bisect_right(self._runs, start, key=itemgetter(0)) - 1, 0)
        return tuple(self._runs[first : bisect_left(self._runs, end, key=itemgetter(0))])

    def all_runs(self) -> list[tuple[int, int]]:
        """The runs that are not forgotten, as a timeline is made of them."""
        return list(self._runs)

    def forget(self, before: int) -> None:
        """Nothing before this place will be asked for."""
        first = bisect_right(self._runs, before, key=itemgetter(0)) - 1
        del self._runs[: max(first, 0)]

    def _media(self, number: int, position: int) -> int:
        start, media = self._runs[max(number - 1, 0)]
        return media + position - start
