"""The parts of a turn that are another voice's, though no change was told.

A match is given up as seldom as the user asks, by which a word or two of somebody else pass while
it stands: for so few alarms it takes some 1.5 s of another voice. They are told afterwards. Where
for a while it was so likely that another voice had begun as for a change where nobody is matched,
and then not any more, somebody spoke in between, and the turn is judged in parts.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.decisions.belief import Belief
from engine.decisions.change_filter import ChangeFilter
from engine.spans.interface import LEAST_SAMPLES, Spans


@dataclass(frozen=True, slots=True)
class Part:
    """Net speech ``[start, end)`` of a turn; ``other``: it seems to be another voice's."""

    start: int
    end: int
    other: bool


@dataclass(frozen=True, slots=True)
class _Peak:
    """Another voice seems to have spoken ``[start, end)``: here that was the likeliest."""

    start: int
    end: int
    log_odds: float


class TurnParts:
    """Follows the turns of one stream, by what its filter holds at each place."""

    def __init__(self, followed: ChangeFilter) -> None:
        self._filter = followed
        self._peak: _Peak | None = None  # of what is likely now
        self._others: list[tuple[int, int]] = []  # what was, in order

    def add(self, spans: Spans, belief: Belief, position: int, height: float) -> None:
        """At a place no change is told. By log odds above ``height`` another voice has begun."""
        if belief.best is None or belief.another <= height:
            self._end(spans, position)
        elif self._peak is None or belief.another > self._peak.log_odds:
            self._peak = _Peak(belief.best.position, position, belief.another)

    def drop(self) -> None:
        """What is likely now has been told otherwise, or is forgotten."""
        self._peak = None

    def take(self, spans: Spans, start: int, end: int) -> list[Part]:
        """The parts of the speech ``[start, end)``, which is not asked for again."""
        if self._peak is not None:
            self._others.append((self._begun(spans, self._peak), end))
        others, self._others, self._peak = self._others, [], None
        parts: list[Part] = []
        for begun, ended in others:
            begun, ended = max(begun, start), min(ended, end)
            if ended - begun < LEAST_SAMPLES:
                continue
            # What is too short to be judged by itself is judged with what it is beside.
            begun = start if begun - start < LEAST_SAMPLES else begun
            ended = end if end - ended < LEAST_SAMPLES else ended
            parts += [Part(start, begun, other=False)] if begun > start else []
            parts.append(Part(begun, ended, other=True))
            start = ended
        return [*parts, Part(start, end, other=False)] if start < end else parts

    def _end(self, spans: Spans, position: int) -> None:
        """It is not likely any more: between which two places it was is looked for."""
        peak, self._peak = self._peak, None
        if peak is not None:
            begun = self._begun(spans, peak)
            self._others.append((begun, self._filter.moment(spans, position, peak.end, begun)))

    def _begun(self, spans: Spans, peak: _Peak) -> int:
        return self._filter.moment(spans, peak.end, peak.start)
