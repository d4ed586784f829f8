"""What is asked of a stream takes effect at the sample at which it was asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from engine.speech.segmenter import Span

Request = Callable[[int], None]


class Requests:
    """Requests in the order of their samples. Each is called with its sample, once."""

    def __init__(self) -> None:
        self._asked: deque[tuple[int, Request]] = deque()

    def add(self, at: int, request: Request) -> None:
        """It is to be obeyed once the sound before media sample ``at`` has been heard.

        Of several at one sample the one that was asked for first comes first.
        """
        place = len(self._asked)
        while place and self._asked[place - 1][0] > at:
            place -= 1
        self._asked.insert(place, (at, request))

    def obey(self, heard: int) -> None:
        """The sound before media sample ``heard`` has been heard."""
        while self._asked and self._asked[0][0] <= heard:
            at, request = self._asked.popleft()
            request(at)

    def between(self, spans: Iterable[Span]) -> Iterator[Span]:
        """The same sound, cut where something was asked for, which is obeyed on the way."""
        for span in spans:
            self.obey(span.start)
            while self._asked and self._asked[0][0] < span.end:
                before, span = span.cut(self._asked[0][0])
                yield before
                self.obey(span.start)
            yield span
