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

        ``began`` is when another voice began, where that is known here.
        """
        if self.last is None or (state, speaker) != (self.last.state, self.last.speaker):
            return True
        if began is not None:
            self.last, self._position = replace(self.last, since=began), position
        return state == "uncertain" and position >= self._position + AGAIN_SAMPLES

    def add(self, decision: Decision, position: int = 0) -> list[Decision]:
        """The decision, unless it says what the last one did."""
        last, self._position = self.last, position
        if last is None or (decision.state, decision.speaker) != (last.state, last.speaker):
            self.counts[decision.state] += 1
        elif decision.cause == last.cause:
            return []
        else:
            decision = replace(decision, since=last.since)
        self.last = decision
        return [decision]
