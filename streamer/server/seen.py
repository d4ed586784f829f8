"""Which streams were looked at by whom since that was last noted. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

AGAIN_S = 3600.0  # after which the same look is noted again
MOST = 20_000  # looks that are remembered; beyond these the older half is noted anew


class Viewings:
    """``who`` is the holder of a token; times are monotonic, in seconds."""

    def __init__(self) -> None:
        self._noted: dict[tuple[str, str], float] = {}
        self._waiting: dict[str, set[str]] = {}  # streams by who saw them

    def saw(self, who: str, streams: Iterable[str], now: float) -> None:
        """Somebody is told of these streams."""
        for stream in streams:
            if self.is_due(who, stream, now):
                self._waiting.setdefault(who, set()).add(stream)

    def is_due(self, who: str, stream: str, now: float) -> bool:
        """Whether that somebody looks at a stream is to be noted."""
        return now - self._noted.get((who, stream), float("-inf")) >= AGAIN_S

    def take(self) -> dict[str, set[str]]:
        """What is to be noted; what cannot be is seen again, or was in vain."""
        waiting, self._waiting = self._waiting, {}
        return {who: streams for who, streams in waiting.items() if streams}

    def noted(self, who: str, streams: Iterable[str], now: float) -> None:
        """The record says so of these streams."""
        for stream in streams:
            self._noted.pop((who, stream), None)  # the newest stands last
            self._noted[who, stream] = now
            self._waiting.get(who, set()).discard(stream)
        if len(self._noted) > MOST:
            for old in list(self._noted)[: MOST // 2]:
                del self._noted[old]
