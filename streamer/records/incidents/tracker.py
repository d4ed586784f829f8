"""From the entries of one stream to its incidents. Sans-IO.

The same entries give the same incidents, live and read from the record afterwards. Whoever follows
live may also say how late it is, so that what nobody says anything of, silence and a lost
connection, is told in time; an entry ``waited`` says the same to who reads the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine import events
from streamer.records.entries import (
    Acted,
    AnyEntry,
    Claimed,
    Clip,
    Connection,
    Ended,
    Scores,
    Started,
    Suspended,
    Told,
    Waited,
)
from streamer.records.incidents.ledger import Ledger, Moment
from streamer.records.incidents.outages import Drops, Undecided
from streamer.records.incidents.sound import Noise, Overlaps, Silence, Tampering
from streamer.records.incidents.voices import Voices
from streamer.records.lateness import Lateness
from streamer.records.rules import IncidentRules
from streamer.wire.incidents import Incident


class IncidentTracker:
    """Of one stream. Its rules are those of its start."""

    def __init__(self) -> None:
        self._begin("", IncidentRules(), Moment(0.0, 0.0))
        self._known = self._over = False

    @property
    def incidents(self) -> list[Incident]:
        """All so far, oldest first."""
        return self._ledger.incidents

    def receive(self, entry: AnyEntry) -> list[Incident]:
        """The next entry; the incidents that are new or other than they were."""
        if isinstance(entry, Clip):  # it follows from an incident
            return []
        if isinstance(entry, Told) and isinstance(entry.event, events.Lag):
            return []  # it is late, and what was said in the sound that waits is not known
        if not self._known:
            self._start(entry)
        if isinstance(entry, Acted):
            self._act(entry)
        elif isinstance(entry, Waited):
            self._pass(entry.at)
        elif isinstance(entry, Suspended):
            self._ledger.suspend(entry.since, entry.until)
        else:
            self._pass(entry.at)
            self._ledger.note(Moment(entry.t, entry.at))
            self._lateness.receive(entry)
            self._take(entry)
        return self._ledger.changed()

    def pass_time(self, now: float) -> list[Incident]:
        """So late it is, in seconds since 1970; the incidents that are new by now."""
        self._pass(now)
        return self._ledger.changed()

    def _pass(self, now: float) -> None:
        if not self._known or self._over:
            return
        moment = Moment(self._ledger.now.t, max(now, self._ledger.now.at))
        self._drops.pass_time(moment)
        if not self._drops.lost:
            self._silence.pass_time(moment)

    def _start(self, entry: AnyEntry) -> None:
        """By the first entry; where the start is missing the usual rules hold."""
        start = entry if isinstance(entry, Started) else None
        rules = (None if start is None else start.rules) or IncidentRules()
        self._begin("" if start is None else start.stream, rules, Moment(entry.t, entry.at))
        self._known = True

    def _begin(self, stream: str, rules: IncidentRules, now: Moment) -> None:
        self._lateness = Lateness()
        self._ledger = ledger = Ledger(stream, rules, now, self._lateness)
        self._voices, self._undecided = Voices(ledger), Undecided(ledger)
        self._overlaps, self._silence = Overlaps(ledger), Silence(ledger)
        self._noise, self._tampering = Noise(ledger), Tampering(ledger)
        self._drops = Drops(ledger)
        self._claims: tuple[str, ...] = ()

    def _take(self, entry: AnyEntry) -> None:
        match entry:
            case Started() | Claimed():
                self._hold_to(entry)
            case Told():
                self._hear(entry.event)
            case Scores():
                self._silence.hear()
                self._voices.score(entry)
                self._undecided.score(entry)
                self._overlaps.go_on()
            case Connection():
                self._drops.hear(entry)
                if entry.state == "resumed":
                    self._silence.hear()
            case Ended():
                self._end()

    def _hold_to(self, terms: Started | Claimed) -> None:
        self._voices.hold_to(terms)
        if terms.claims != self._claims:
            self._claims = terms.claims
            self._undecided.start_over(terms.t)

    def _hear(self, event: events.Event) -> None:
        match event:
            case events.Decision():
                self._voices.decide(event)
                self._undecided.decide(event)
            case events.Change():
                self._voices.change(event)
            case events.Utterance():
                self._silence.hear()
                self._voices.hear(event)
            case events.Overlap():
                self._overlaps.hear(event)
            case events.Quality():
                if event.speech_share:
                    self._silence.hear()
                self._noise.hear(event)
                self._tampering.hear(event)
            case events.Stalled():
                self._silence.stall(event.stalled)

    def _act(self, acted: Acted) -> None:
        """What was acknowledged stays so; the first who did it is named.

        An act says nothing of how late it is for the stream: its server may have been killed
        before. Only where the incident is not known the time has to have passed by which it was
        told: records of before have no entry of that, nor has one that could not be written.
        """
        if acted.act != "acknowledge" or not acted.incident:
            return
        if self._ledger.get(acted.incident) is None:
            self._pass(acted.at)
        found = self._ledger.get(acted.incident)
        if found is not None and found.acknowledged_at is None:
            self._ledger.change(found.id, acknowledged_by=acted.who, acknowledged_at=acted.at)

    def _end(self) -> None:
        self._over = True
        self._voices.end()
        self._undecided.end()
        self._overlaps.end()
        self._silence.end()
        self._noise.end()
        self._tampering.end()
        self._drops.end()


def incidents_of(entries: Iterable[AnyEntry]) -> list[Incident]:
    """All incidents of a stream, from its record, as they stand at the end of it."""
    tracker = IncidentTracker()
    for entry in _as_it_happened(entries):
        tracker.receive(entry)
    return tracker.incidents


def _as_it_happened(entries: Iterable[AnyEntry]) -> Iterator[AnyEntry]:
    """What people did stands in the record when it was written, which the rest may be later."""
    acts, rest = list[Acted](), list[AnyEntry]()
    for entry in entries:
        acts.append(entry) if isinstance(entry, Acted) else rest.append(entry)
    acts.sort(key=lambda act: act.at)
    for number, entry in enumerate(rest):
        while number and acts and acts[0].at < entry.at:
            yield acts.pop(0)
        yield entry
    yield from acts
