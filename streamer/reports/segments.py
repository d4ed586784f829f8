"""From entries to the stretches of one state, and to the turns, in the order in which they came.

What a later claim asks changes nothing of what was decided before it: its stretches begin where it
began to hold.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from engine import events
from streamer.records.entries import AnyEntry, Ended, Terms, Told
from streamer.reports.clock import Clock
from streamer.reports.report import Segment, Turn

LAPSED = "lapsed"
CHANGED = "changed"
OPEN = ("insufficient", "uncertain")  # states that do not say who speaks


class _Stretch(msgspec.Struct):
    since: float
    state: str
    until: float | None = None
    speaker: str | None = None
    evidence: float | None = None
    reason: str = ""


class Segments:
    """Stretches so far; the last one is open."""

    def __init__(self) -> None:
        self._closed: list[_Stretch] = []  # of claims before the present one
        self._stretches: list[_Stretch] = []
        self._claimed_at = 0.0

    def receive(self, entry: AnyEntry) -> None:
        """The next entry of the stream."""
        match entry:
            case Terms():
                self._begin_claim(entry.t)
            case Told(event=events.Decision() as decision):
                self._decided(decision)
            case Told(event=events.Change() as change):
                self._continue(_Stretch(change.at, CHANGED, speaker=change.to_speaker))
            case Told(event=events.Stalled(stalled=True)):
                self._continue(_Stretch(entry.t, LAPSED, reason="no sound came"))
            case Ended():
                end = entry.t if entry.summary is None else entry.summary.received_s
                self._end(end)
            case _:
                pass

    def told(self, clock: Clock) -> tuple[Segment, ...]:
        """All of them, without those that turned out to have no length."""
        return tuple(
            _segment(one, clock)
            for one in [*self._closed, *self._stretches]
            if one.until is None or one.until > one.since
        )

    def _begin_claim(self, t: float) -> None:
        self._end(t)
        self._closed += self._stretches
        self._claimed_at = t
        self._stretches = [_Stretch(t, LAPSED)]

    def _decided(self, decision: events.Decision) -> None:
        last = self._stretches[-1] if self._stretches else None
        since = max(decision.since, self._claimed_at)
        if last and last.state == CHANGED and last.since == since and decision.state in OPEN:
            last.reason = decision.reason  # that another voice is there is more than this says
            return
        speaker = decision.speaker if decision.speaker is not None else decision.voice
        self._continue(
            _Stretch(
                since,
                decision.state,
                speaker=speaker,
                evidence=decision.evidence,
                reason=decision.reason,
            )
        )

    def _continue(self, stretch: _Stretch) -> None:
        """One more; it may begin before now, and then takes time from those before it."""
        stretch.since = max(stretch.since, self._claimed_at)
        self._stretches = [one for one in self._stretches if one.since < stretch.since]
        self._end(stretch.since)
        self._stretches.append(stretch)

    def _end(self, t: float) -> None:
        if self._stretches:
            last = self._stretches[-1]
            last.until = t if last.until is None else min(last.until, t)


def _segment(one: _Stretch, clock: Clock) -> Segment:
    if one.until is None:
        since_at, until_at = clock.at(one.since), None
    else:
        since_at, until_at = clock.span(one.since, one.until)
    return Segment(
        since=one.since,
        until=one.until,
        since_at=since_at,
        until_at=until_at,
        state=one.state,
        speaker=one.speaker,
        evidence=one.evidence,
        reason=one.reason,
    )


def turns(entries: Iterable[AnyEntry], clock: Clock) -> tuple[Turn, ...]:
    """Every turn with its own verdict."""
    found = (e.event for e in entries if isinstance(e, Told))
    return tuple(_turn(one, clock) for one in found if isinstance(one, events.Utterance))


def _turn(one: events.Utterance, clock: Clock) -> Turn:
    since_at, until_at = clock.span(one.start, one.end)
    return Turn(
        since=one.start,
        until=one.end,
        since_at=since_at,
        until_at=until_at,
        speech_s=one.speech_s,
        state=one.state,
        speaker=one.speaker if one.speaker is not None else one.voice,
        llr=one.llr,
        evidence=one.evidence,
        reason=one.reason,
    )
