"""Whether somebody speaks on a stream just now, and for how long it was spoken so far."""

from __future__ import annotations

from engine.events import Vad


class Speaking:
    """Of one stream, by what its detector tells. ``since`` is in media time, None in silence."""

    def __init__(self) -> None:
        self._ended_s = 0.0  # of the speech that has ended
        self.since: float | None = None

    def hear(self, vad: Vad) -> None:
        """Speech has begun, or has ended."""
        if self.since is not None:
            self._ended_s += max(0.0, vad.at - self.since)
        self.since = vad.at if vad.speech else None

    def speech_s(self, received_s: float) -> float:
        """Seconds of speech in what was received, with what is being said just now."""
        if self.since is None:
            return self._ended_s
        return self._ended_s + max(0.0, received_s - self.since)
