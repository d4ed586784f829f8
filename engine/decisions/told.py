"""The decisions of a stream, each told where it says something new."""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from engine.events import Decision, State
from engine.format import SAMPLE_RATE_HZ

# While a state stays open why is asked again after so much net speech, 3 s: what a few words more
# have changed is seen soon, and nobody is told of causes that waver.
AGAIN_SAMPLES = 3 * SAMPLE_RATE_HZ


class ToldDecisions:
    """``counts`` is how often each state was entered, ``last`` what was told last."""

    def __init__(self) -> None:
        self.last: Decision | None = None
        self.counts: Counter[str] = Counter()
        self._position = 0  # net sample at which the last one's cause was looked for last

    def wants(self, state: State, speaker: str | None, position: int, began: float | None) -> bool:
        """Whether a decision at net sample ``position`` may be news.

        ``began`` is when another voice began, where that is known from here on: a state that was
        told since then is told anew, with the moment and the voice.
        """
        if self.last is None or (state, speaker) != (self.last.state, self.last.speaker):
            return True
        if began is not None and (state == "uncertain" or self.last.t >= began):
            return True
        return state == "uncertain" and position >= self._position + AGAIN_SAMPLES

    def add(self, decision: Decision, position: int, *, changed: bool = False) -> list[Decision]:
        """The decision, unless it says what the last one did and no voice has ``changed``."""
        last, self._position = self.last, position
        if last is None or (decision.state, decision.speaker) != (last.state, last.speaker):
            self.counts[decision.state] += 1
        elif not changed:
            if decision.cause == last.cause:
                return []
            decision = replace(decision, since=last.since)
        self.last = decision
        return [decision]
