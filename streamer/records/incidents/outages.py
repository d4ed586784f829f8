"""Lost connections, one incident an outage, and a voice that stays undecided."""

from __future__ import annotations

from engine import events
from streamer.records.entries import Connection, Scores
from streamer.records.incidents.ledger import Ledger, Moment
from streamer.records.incidents.words import BY_FIGURES, CAUSES, clock, lasted, span, times

JOIN_S = 30.0  # of the clock, between two drops that are one outage


class Drops:
    """The client was lost, for long enough, and may have come back."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._since: Moment | None = None  # since when it is lost
        self._why = ""
        self._open: str | None = None
        self._last: str | None = None  # the outage before, and
        self._back_at = self._lost_s = 0.0  # when that was over, and how long it was lost in all

    @property
    def lost(self) -> bool:
        """Whether there is no connection."""
        return self._since is not None

    def hear(self, connection: Connection) -> None:
        """It was lost, or is back."""
        now = self._ledger.now
        if connection.state == "dropped":
            if self._since is None:
                self._since, self._why = now, connection.why
        else:
            self._back(now)

    def pass_time(self, now: Moment) -> None:
        """So late it is."""
        since, ledger = self._since, self._ledger
        if since is None or self._open is not None or now.at - since.at < ledger.rules.dropped_s:
            return
        before = ledger.get(self._last) if self._last else None
        if (
            before is None
            or before.acknowledged_at is not None
            or since.at - self._back_at > JOIN_S
        ):
            why = f": {self._why}" if self._why else ""
            reason = f"the connection is lost since {clock(since.t)}{why}"
            self._open = ledger.open("dropped", since.t, reason, since_at=since.at)
            self._last, self._lost_s = self._open, 0.0
        else:
            self._open = before.id
            ledger.change(before.id, until=None, until_at=None, count=before.count + 1)

    def end(self) -> None:
        """The stream is over."""
        self._back(self._ledger.now)

    def _back(self, now: Moment) -> None:
        since, self._since = self._since, None
        name, self._open = self._open, None
        found = None if name is None else self._ledger.get(name)
        if name is None or found is None or since is None:
            return
        self._back_at, self._lost_s = now.at, self._lost_s + now.at - since.at
        how_long = lasted(self._lost_s)
        how = f"at {clock(found.since)}, for {how_long}"
        if found.count > 1:
            how = f"{times(found.count)} {span(found.since, now.t)}, for {how_long} in all"
        reason = f"the connection was lost {how}"
        self._ledger.end(name, now.t, reason, until_at=now.at)


class Undecided:
    """Much speech of which it is not decided whose it is."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._since: float | None = None  # the first score that left it open
        self._second = -1
        self._speech_s = 0
        self._cause: events.Cause | None = None
        self._open: str | None = None
        self._decided = False

    def score(self, scores: Scores) -> None:
        """There was speech in this second."""
        if self._decided or int(scores.t) == self._second:
            return
        self._second = int(scores.t)
        self._since = scores.t if self._since is None else self._since
        self._speech_s += 1
        if self._open is None and self._speech_s >= self._ledger.rules.undecided_s:
            self._open = self._ledger.open("undecided", self._since, self._reason())
            self._ledger.change(self._open, speech_s=float(self._speech_s))

    def decide(self, decision: events.Decision) -> None:
        """The state has become another, or why it is open."""
        self._cause = decision.cause
        self._decided = decision.state in ("match", "mismatch", "unknown")
        if self._decided:
            self.start_over(decision.since, f"; then {decision.state}")
        elif self._open is not None:
            self._ledger.change(self._open, reason=self._reason())

    def start_over(self, t: float, then: str = "") -> None:
        """It is decided, or somebody else is asked for."""
        name, self._open = self._open, None
        if name is not None:
            found = self._ledger.get(name)
            speech = f"for {self._speech_s} s of speech it was not decided whose voice it is"
            since = 0.0 if found is None else found.since
            speech_s = float(self._speech_s)
            self._ledger.end(name, max(t, since), speech + then, speech_s=speech_s)
        self._since, self._speech_s = None, 0

    def end(self) -> None:
        """The stream is over."""
        self.start_over(self._ledger.now.t)

    def _reason(self) -> str:
        words = f"for {self._speech_s} s of speech it is not decided whose voice it is"
        if self._cause is None:
            return words
        if self._cause in BY_FIGURES:
            return f"{words} (evidence in between: {BY_FIGURES[self._cause]})"
        return f"{words}: {CAUSES[self._cause]}"
