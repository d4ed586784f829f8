"""The incidents of one stream, numbered in the order in which they were opened."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple, get_args

import msgspec

from streamer.records.lateness import Lateness
from streamer.records.rules import IncidentRules
from streamer.wire.incidents import Incident, IncidentKind

KINDS: tuple[IncidentKind, ...] = get_args(IncidentKind)  # which stand in the order of need
# These say that somebody else may have spoken; the others, that it could not be heard who did. They
# are what Open edX is told to be suspicious, and what platforms of LTI are sent a flag of.
OTHERS: frozenset[IncidentKind] = frozenset(
    {"takeover", "mismatch", "other-voice", "overlap", "tampering"}
)
SEVERITY = {kind: len(KINDS) - number for number, kind in enumerate(KINDS)}
MOST = 500  # incidents of a stream that are held; beyond it the oldest that is over is forgotten
SUSPENSIONS = 64  # jumps of the server's clock: of hours of an exam a few
MOMENTS = 512  # entries whose time of day is known, to date what began before it was noticed


class Moment(NamedTuple):
    """Media time in seconds, and the time of day in seconds since 1970."""

    t: float
    at: float


class Ledger:
    """Opens, changes and ends incidents. ``now`` is the moment of the newest entry.

    ``lateness`` knows which sound came later than it was said.
    """

    def __init__(self, stream: str, rules: IncidentRules, now: Moment, lateness: Lateness) -> None:
        self.rules, self.now, self._lateness = rules, now, lateness
        self._stream, self._count = stream, 0
        self._incidents: dict[str, Incident] = {}
        self._moments: deque[Moment] = deque([now], maxlen=MOMENTS)
        self._changed: dict[str, Incident | None] = {}  # what was told of it before
        self._suspensions: deque[tuple[float, float]] = deque(maxlen=SUSPENSIONS)

    @property
    def incidents(self) -> list[Incident]:
        """All that are held, oldest first."""
        return list(self._incidents.values())

    def note(self, moment: Moment) -> None:
        """An entry of that moment has come."""
        self.now = moment
        self._moments.append(moment)

    def suspend(self, since: float, until: float) -> None:
        """The server's clock jumped so far, in seconds since 1970."""
        self._suspensions.append((since, until))

    def attended_s(self, since: float, until: float) -> float:
        """The seconds of the clock between the two in which the server ran."""
        away = (min(until, b) - max(since, a) for a, b in self._suspensions)
        return until - since - sum(max(0.0, seconds) for seconds in away)

    def open(self, kind: IncidentKind, since: float, reason: str, **fields: Any) -> str:
        """A new incident, which goes on; its id."""
        self._count += 1
        name, since_at = f"{self._stream}/{self._count}", fields.pop("since_at", None)
        made = Incident(
            t=self.now.t,
            id=name,
            kind=kind,
            since=round(since, 3),
            since_at=since_at or self.at(since),
            came_at=None if since_at else self._lateness.came_at(since),
            reason=reason,
            severity=SEVERITY[kind],
            note_only=self.rules.notes_only,
        )
        self._changed.setdefault(name, None)
        self._incidents[name] = msgspec.structs.replace(made, **fields)
        self._forget()
        return name

    def change(self, name: str, **fields: Any) -> None:
        """What is known of an incident has become other. It ends no earlier than it began.

        Of sound that came late the time of day is reckoned back, by what the client said.
        """
        found = self._incidents.get(name)
        if found is None:
            return
        if fields.get("until_at") is not None:
            fields["until_at"] = max(fields["until_at"], found.since_at)
        if "kind" in fields:
            fields["severity"] = SEVERITY[fields["kind"]]
        made = msgspec.structs.replace(found, **fields)
        if made != found:
            self._changed.setdefault(name, found)
            self._incidents[name] = msgspec.structs.replace(made, t=self.now.t)

    def end(self, name: str, until: float, reason: str = "", **fields: Any) -> None:
        """An incident is over, unless it was before."""
        found = self._incidents.get(name)
        if found is None or found.until is not None:
            return
        until = max(round(until, 3), found.since)
        until_at = fields.pop("until_at", None) or self.at(until)
        said = {"reason": reason} if reason else {}
        self.change(name, until=until, until_at=until_at, **said, **fields)

    def recent(self, kind: IncidentKind, within_s: float) -> Incident | None:
        """The last of a kind, if it may go on: nobody has dealt with it, and it is not long over.

        So that what comes and goes is one incident, and what comes after somebody looked another.
        """
        found = next((one for one in reversed(self.incidents) if one.kind == kind), None)
        if found is None or self.dealt_with(found):
            return None
        if found.until is not None and self.now.t - found.until > within_s:
            return None
        return found

    def dealt_with(self, incident: Incident) -> bool:
        """Whether somebody had acknowledged it before now."""
        return incident.acknowledged_at is not None and incident.acknowledged_at < self.now.at

    def get(self, name: str) -> Incident | None:
        """An incident by its id."""
        return self._incidents.get(name)

    def changed(self) -> list[Incident]:
        """Those that are new or other than they were, since the last call."""
        found = [
            self._incidents[name]
            for name, before in self._changed.items()
            if name in self._incidents and self._incidents[name] != before
        ]
        self._changed.clear()
        return found

    def at(self, t: float) -> float:
        """The time of day at which the sound at a media time was said.

        That is when it came, by the first entry that came no earlier, where it was not kept.
        """
        said_at = self._lateness.said_at(t)
        if said_at is not None:
            return said_at
        for moment in self._moments:
            if moment.t >= t:
                return round(moment.at - (moment.t - t), 3)
        return round(self.now.at + (t - self.now.t), 3)

    def said_at(self, moment: Moment) -> float:
        """When the sound of a moment was said, which is when it came unless it came late."""
        said_at = self._lateness.said_at(moment.t)
        return moment.at if said_at is None else said_at

    def came_at(self, moment: Moment) -> float | None:
        """When it came, where that was noticeably later; else None."""
        return self._lateness.came_at(moment.t)

    def _forget(self) -> None:
        if len(self._incidents) > MOST:
            over = (name for name, one in self._incidents.items() if one.until is not None)
            del self._incidents[next(over, next(iter(self._incidents)))]
