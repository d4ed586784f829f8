"""From what a stream says to what is kept of it. Sans-IO: events in, entries out.

Kept are all events that the record has an entry for, of the scores one a second, and of an outage
two notices of lag, of its beginning and its end. Of an error the code is kept.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from engine import events
from streamer.records.entries import AnyEntry, Ended, RecordedEvent, Scores, Told
from streamer.records.references import References

DECIMALS = 3  # of a score: more than it tells
ROUNDED = ("llr", "evidence", "accept_llr", "reject_llr")  # fields of events that are as scores


class Recorder:
    """Of one stream. ``references`` are those of whom it speaks; :meth:`renew` gives others.

    ``claimed`` is who is claimed, where that is one person.
    """

    def __init__(self, references: References, claimed: str | None = None) -> None:
        self._references, self._claimed = references, claimed
        self._second: dict[str, int] = {}  # of the last score that was kept, by speaker
        self._lagging: set[str] = set()  # reasons of the outages under way
        self._summary: events.Summary | None = None
        self.t = 0.0  # media time of the last event

    def renew(self, references: References, claimed: str | None = None) -> None:
        """Others are claimed from here on."""
        self._references, self._claimed = references, claimed

    def receive(self, event: events.Event, now: float) -> AnyEntry | None:
        """What is kept of an event, None: nothing. ``now`` is the time of day, s since 1970."""
        self.t = event.t
        if isinstance(event, events.Score):
            return self._score(event, now)
        if isinstance(event, events.Summary):
            self._summary = event
        if isinstance(event, events.Lag) and not self._turns(event):
            return None
        if not isinstance(event, RecordedEvent):
            return None
        if isinstance(event, events.Failure):  # its words may repeat what a client has typed
            event = msgspec.structs.replace(event, message="")
        told = self._references.without_names(event)
        unset = {"seq": msgspec.UNSET, "at_time": msgspec.UNSET}
        told = msgspec.structs.replace(told, **unset, **_rounded(told))
        return Told(at=_time_of(event, now), t=event.t, event=told)

    def end(self, code: int, why: str, now: float) -> Ended:
        """The stream is over."""
        summary = self._summary
        if summary is not None:
            summary = msgspec.structs.replace(summary, seq=msgspec.UNSET, at_time=msgspec.UNSET)
        return Ended(at=now, t=self.t, code=code, why=why, summary=summary)

    def _score(self, score: events.Score, now: float) -> Scores | None:
        second = int(score.t)
        if self._second.get(score.speaker) == second:
            return None
        self._second[score.speaker] = second
        return Scores(
            at=_time_of(score, now),
            t=score.t,
            speaker="" if score.speaker == self._claimed else self._references.of(score.speaker),
            evidence=None if score.evidence is None else round(score.evidence, DECIMALS),
            llr=round(score.llr, DECIMALS),
        )

    def _turns(self, lag: events.Lag) -> bool:
        """Whether an outage begins or ends with this notice: one with nothing behind ends it."""
        over = lag.behind_s <= 0 and not lag.dropped
        if over is (lag.reason not in self._lagging):
            return False
        (self._lagging.discard if over else self._lagging.add)(lag.reason)
        return True


def _rounded(event: events.Event) -> dict[str, float]:
    found = {name: getattr(event, name, None) for name in ROUNDED}
    return {name: round(value, DECIMALS) for name, value in found.items() if value is not None}


def _time_of(event: events.Event, now: float) -> float:
    """When its sound had come, where that is known."""
    if event.at_time is msgspec.UNSET:
        return round(now, 3)
    return datetime.fromisoformat(event.at_time).timestamp()
