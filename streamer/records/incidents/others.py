"""Others who speak in between: with how much of the speech, and how often."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from engine import events
from streamer.records.incidents.ledger import Ledger
from streamer.records.incidents.words import figures, lasted, span, times
from streamer.wire.incidents import Incident

JOIN_S = 60.0  # between two turns of others that are one incident
HELD = 64  # short turns that are remembered until together they are long enough


@dataclass(frozen=True, slots=True)
class Other:
    """Somebody else's speech, from ``start`` to ``end``; ``far`` from the microphone."""

    start: float
    end: float
    speech_s: float
    voice: str | None = None
    evidence: float | None = None
    bound: float | None = None
    far: bool = False

    @classmethod
    def of(cls, turn: events.Utterance) -> Other:
        """A turn that is not the expected voice's."""
        return cls(
            turn.start,
            turn.end,
            turn.speech_s,
            turn.voice,
            turn.evidence,
            turn.reject_llr,
            turn.background,
        )


class Others:
    """Gathers what others say. ``until`` is the end of the last of it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._short: deque[Other] = deque(maxlen=HELD)
        self._turns_s = 0.0  # speech of all turns
        self.until = 0.0

    def hear(self, turn: events.Utterance) -> None:
        """A turn of anybody."""
        self._turns_s += turn.speech_s

    def share(self, speech_s: float) -> float | None:
        """Part of the speech of all turns so far."""
        return round(min(speech_s / self._turns_s, 1.0), 3) if self._turns_s else None

    def add(self, other: Other) -> None:
        """Somebody else spoke."""
        self.until = max(self.until, other.end)
        before = self._ledger.recent("other-voice", JOIN_S)
        if before is not None:
            self._say(before, other, before.speech_s + other.speech_s, before.count + 1)
            return
        self._short.append(other)
        while other.start - self._short[0].end > JOIN_S:
            self._short.popleft()
        speech_s = sum(one.speech_s for one in self._short)
        if speech_s >= self._ledger.rules.other_voice_s:
            self._open(other, speech_s)

    def _open(self, other: Other, speech_s: float) -> None:
        since, count = self._short[0].start, len(self._short)
        self._short.clear()
        made = self._ledger.get(self._ledger.open("other-voice", since, ""))
        if made is not None:
            self._say(made, other, speech_s, count)

    def _say(self, one: Incident, other: Other, speech_s: float, count: int) -> None:
        share = self.share(speech_s)
        of_all = "" if share is None else f", {100 * share:.0f} % of the speech so far"
        far = ", the last far from the microphone" if other.far else ""
        until = max(round(other.end, 3), one.since)
        self._ledger.change(
            one.id,
            until=until,
            until_at=self._ledger.at(until),
            speech_s=round(speech_s, 3),
            count=count,
            share=share,
            voice=other.voice or one.voice,
            evidence=other.evidence,
            reason=f"somebody else spoke {times(count)} {span(one.since, until)}:"
            f" {lasted(speech_s)} of speech{of_all}{far}{figures(other.evidence, other.bound)}",
        )
