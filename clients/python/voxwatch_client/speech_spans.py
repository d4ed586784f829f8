"""Which stretch of sound the words of a recogniser were made from. Sans-IO; times in seconds."""

from __future__ import annotations


class SpeechSpans:
    """Which speech a transcript was made from: it comes after the speech, in the same order.

    A recogniser says it before the speech is said to have ended, or after. A span waits for its
    transcript ``latency_s`` at most; one that was only noise has none.
    """

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s
        self._ended: list[tuple[float, float]] = []  # that wait for a transcript
        self._rest: tuple[float, float] | None = None  # of a speech after its transcript, if any
        self._last = (0.0, 0.0)  # that had one
        self._began_s: float | None = None  # somebody speaks since then
        self._said = False  # of which there was a transcript already

    def began(self, at_s: float) -> None:
        """Somebody began to speak."""
        if self._began_s is None:
            self._began_s, self._said = at_s, False

    def stopped(self, at_s: float) -> None:
        """Whoever spoke has stopped."""
        if self._began_s is None:
            return
        if self._said:
            self._rest = (self._began_s, at_s)
        else:
            self._ended.append((self._began_s, at_s))
        self._began_s = None

    def take(self, now_s: float) -> tuple[float, float]:
        """The span of the transcript that comes now."""
        recent = [span for span in self._ended if span[1] > now_s - self._latency_s]
        waiting = recent or self._ended[-1:]
        if waiting:
            self._last = (waiting[0][0], waiting[-1][1])
        elif self._began_s is not None:
            self._last, self._began_s, self._said = (self._began_s, now_s), now_s, True
        elif self._rest is not None:
            self._last = self._rest
        elif self._last[1] == 0.0:  # nothing says where speech is
            self._last = (0.0, now_s)
        self._ended, self._rest = [], None
        return self._last
