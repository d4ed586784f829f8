"""Where in the speech of a segment another voice may have begun, and how likely that is beforehand.

At the start of every turn, inside a turn at each place that could be asked for in the last seconds,
and where sound went on after a pause that ended no turn. A segment is the speech since the last
change told, without that of voices in the background.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from engine.decisions.heard_spans import NearVoice
from engine.format import SAMPLE_RATE_HZ
from engine.spans.interface import LEAST_SAMPLES, Spans

# A change is looked for at the places of the last 5 s inside turns, at the MOST_LIKELY earlier ones
# that were the likeliest, and where the last MOST_TURNS turns began.
BACK_SAMPLES, MOST_LIKELY, MOST_TURNS = 5 * SAMPLE_RATE_HZ, 3, 6
# The probability that another voice begins at a place inside a turn, of which there is one every
# half second; where sound goes on after a pause that ends no turn; and after the shortest pause
# that ends one.
HAZARD, SHORT_PAUSE_HAZARD, PAUSE_HAZARD = 1 / 120, 0.03, 0.1
PAUSE_MEMORY_S = 50.0  # In so much silence what is known of who speaks fades to 1/e.
# Seconds of silence after which another voice is as likely as the same one.
LAPSE_S = PAUSE_MEMORY_S * math.log(2 * (1 - PAUSE_HAZARD))


def pause_hazard(pause_s: float) -> float:
    """The probability that another voice speaks after a pause."""
    return 1 - (1 - PAUSE_HAZARD) * math.exp(-pause_s / PAUSE_MEMORY_S)


class ChangePlaces:
    """The places of one stream, in samples of net speech.

    ``start`` is that of the segment, ``near`` what is kept of it where a voice in the background
    has spoken.
    """

    def __init__(self) -> None:
        self.start = 0
        self.near: NearVoice | None = None
        self._turn = 0  # where the turn began
        self._turns: list[tuple[int, float]] = []  # where turns begin, with their hazards
        self._inside: list[int] = []  # turns
        self._likeliest: set[int] = set()

    def begin_turn(self, position: int, pause_s: float) -> None:
        """A turn begins after a pause."""
        self._turn = position
        if position > self.start:
            self._turns = [*self._turns[1 - MOST_TURNS :], (position, pause_hazard(pause_s))]

    def begin_segment(self, position: int) -> None:
        """What was said before ``position`` is another's."""
        self.start, self.near = position, None
        self._turns = [turn for turn in self._turns if turn[0] > position]
        self._inside = [place for place in self._inside if place > position]

    def leave_out(self, near: NearVoice) -> None:
        """A voice in the background spoke until ``near`` ends."""
        self.near = near
        self._turns = [turn for turn in self._turns if turn[0] >= near.end]
        self._inside = [place for place in self._inside if place >= near.end]

    def near_end(self, position: int) -> int:
        """Where the speech that ends at ``position`` ends without a voice in the background."""
        return self.near.ended if self.near is not None and self.near.end == position else position

    def is_turn(self, position: int) -> bool:
        """Whether a turn begins there."""
        return any(start == position for start, _ in self._turns)

    def add(self, position: int) -> None:
        """A place that could be asked for."""
        if position > max(self._inside, default=self.start):
            self._inside.append(position)

    def keep(self, places: Iterable[int]) -> None:
        """The last of these, the likeliest ones, are kept though they become old."""
        self._likeliest = set(list(places)[-MOST_LIKELY:])

    def hazards(self, spans: Spans, position: int) -> dict[int, float]:
        """The places for the speech up to ``position``, in order, each with its hazard."""
        recent = position - BACK_SAMPLES
        self._inside = [p for p in self._inside if p >= recent or p in self._likeliest]
        pauses = [start for start, _ in spans.timeline.runs(recent, position)]
        turns, inside = dict(self._turns), dict.fromkeys(self._inside, HAZARD)
        inside |= dict.fromkeys(pauses, SHORT_PAUSE_HAZARD)
        # A graph for windows answers a place near the end of an earlier turn by a window that lies
        # elsewhere, so that with one only the places of the turn under way are asked for.
        if spans.grain > LEAST_SAMPLES:
            inside = {place: hazard for place, hazard in inside.items() if place >= self._turn}
        hazards, possible = inside | turns, {}
        for place in sorted(hazards):
            least = LEAST_SAMPLES if place in turns else max(LEAST_SAMPLES, spans.grain)
            first = self.start + least if self.near is None else self.near.end
            if first <= place <= position - least:
                possible[place] = hazards[place]
        return possible
