"""What is heard besides whose voice it is: two at once, silence, noise, sound in doubt."""

from __future__ import annotations

from collections import deque

from engine import events
from streamer.records.incidents.ledger import Ledger, Moment
from streamer.records.incidents.words import IN_DOUBT, clock, lasted, span, technically, times
from streamer.wire.incidents import Incident

OVERLAP_JOIN_S = 30.0  # between two overlaps that are one incident
# Of media time: so much later it is known that a span is over, as the model looks ahead.
LATE_S = 1.0
NOISE_JOIN_S = 60.0  # between two spells of noise, or of doubt, that are one
DOUBTS = ("repeated", "format-suspect", "rate-suspect")  # the gravest first
NOISE = ("noisy", "clipped")


class Overlaps:
    """Two voices at once, for long enough in all."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._spans: deque[tuple[float, float]] = deque(maxlen=64)  # short ones, not told yet
        self._since: float | None = None  # of the span under way
        self._open: str | None = None  # the incident that it is

    def hear(self, overlap: events.Overlap) -> None:
        """A span has begun or ended."""
        if overlap.end is None:
            self._since = overlap.start
            return
        self._since = None
        if self._open is not None:
            name, self._open = self._open, None
            self._extend(name, overlap.start, overlap.end)
        elif (before := self._ledger.recent("overlap", OVERLAP_JOIN_S)) is not None:
            self._extend(before.id, overlap.start, overlap.end, more=1)
        else:
            self._gather(overlap.start, overlap.end)

    def go_on(self) -> None:
        """Time has passed: a span that lasts is told before it is over."""
        since, ledger = self._since, self._ledger
        if since is None or self._open is not None:
            return
        if ledger.now.t - since < ledger.rules.overlap_s + LATE_S:
            return
        before = ledger.recent("overlap", OVERLAP_JOIN_S)
        if before is None:
            reason = f"two voices have spoken at once since {clock(since)}"
            self._open = ledger.open("overlap", since, reason)
        else:
            self._open = before.id
            ledger.change(before.id, until=None, until_at=None, count=before.count + 1)

    def end(self) -> None:
        """The stream is over."""
        if self._open is not None:
            self._ledger.end(self._open, self._ledger.now.t)

    def _gather(self, start: float, end: float) -> None:
        self._spans.append((start, end))
        while start - self._spans[0][1] > OVERLAP_JOIN_S:
            self._spans.popleft()
        in_all = sum(b - a for a, b in self._spans)
        if in_all < self._ledger.rules.overlap_s:
            return
        first, count = self._spans[0][0], len(self._spans)
        self._spans.clear()
        name = self._ledger.open("overlap", first, "", count=count)
        self._say(name, end, in_all, count)

    def _extend(self, name: str, start: float, end: float, more: int = 0) -> None:
        found = self._ledger.get(name)
        if found is not None:
            self._say(name, end, found.speech_s + end - start, found.count + more)

    def _say(self, name: str, end: float, in_all: float, count: int) -> None:
        found = self._ledger.get(name)
        if found is None:
            return
        self._ledger.change(
            name,
            until=round(end, 3),
            until_at=self._ledger.at(end),
            speech_s=round(in_all, 3),
            count=count,
            reason=f"two voices at once {times(count)} {span(found.since, end)}, for"
            f" {lasted(in_all)} in all",
        )


class Silence:
    """Nobody is heard to speak, though somebody should; no sound at all counts as silence."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._heard = ledger, ledger.now
        self._open: str | None = None
        self._stalled = False

    def stall(self, stalled: bool) -> None:
        """No sound comes, or it is back."""
        self._stalled = stalled

    def hear(self) -> None:
        """There is speech until now."""
        self._heard = now = self._ledger.now
        if self._open is not None:
            name, self._open = self._open, None
            found = self._ledger.get(name)
            if found is not None:
                self._over(found, now, self._ledger.said_at(now))

    def pass_time(self, now: Moment) -> None:
        """So late it is."""
        rules, heard = self._ledger.rules, self._heard
        quiet_s = max(self._ledger.attended_s(heard.at, now.at), now.t - heard.t)
        if not rules.speaking or self._open is not None or quiet_s < rules.silent_s:
            return
        what = "no sound has come" if self._stalled else "nobody has spoken"
        self._open = self._ledger.open(
            "silent",
            heard.t,
            f"{what} since {clock(heard.t)}, for more than {lasted(rules.silent_s)}",
            since_at=self._ledger.said_at(heard),
            came_at=self._ledger.came_at(heard),
        )

    def end(self) -> None:
        """The stream is over."""
        if self._open is not None:
            self._ledger.end(self._open, self._ledger.now.t, until_at=self._ledger.now.at)

    def _over(self, found: Incident, now: Moment, said_at: float) -> None:
        quiet_s = max(self._ledger.attended_s(found.since_at, said_at), now.t - found.since)
        reason = f"nobody spoke for {lasted(quiet_s)}"
        if self._ledger.came_at(now) is not None:
            reason += f"; what was said then came {lasted(now.at - said_at)} later"
        self._ledger.end(found.id, now.t, reason, until_at=said_at)


class Noise:
    """Speech in noise, or clipped, for long enough."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._last_t = 0.0  # of the last period
        self._noisy_s = self._clean_s = 0.0  # in a row, by now
        self._since = self._until = 0.0
        self._open: str | None = None

    def hear(self, quality: events.Quality) -> None:
        """How the sound was since the last time."""
        since, self._last_t = self._last_t, quality.t
        if not quality.speech_share or quality.t <= since:
            return
        what = next((one for one in NOISE if one in quality.problems), None)
        if what is None:
            self._clean(quality.t - since, since)
        else:
            self._noise(quality, since, what)

    def end(self) -> None:
        """The stream is over."""
        if self._open is not None:
            self._ledger.end(self._open, self._ledger.now.t)

    def _noise(self, quality: events.Quality, since: float, what: str) -> None:
        if not self._noisy_s:
            self._since = since
        self._noisy_s += quality.t - since
        self._clean_s = 0.0
        if self._open is not None or self._noisy_s < self._ledger.rules.noisy_s:
            return
        before = self._ledger.recent("noisy", NOISE_JOIN_S)
        if before is not None:
            self._open = before.id
            self._ledger.change(before.id, until=None, until_at=None, count=before.count + 1)
            return
        figure = f", {quality.snr_db:.0f} dB over the noise" if quality.snr_db is not None else ""
        if what == "clipped":
            figure = f", {100 * quality.clipped:.1f} % of it"
        reason = f"the speech has been {what} since {clock(self._since)}{figure}"
        self._open = self._ledger.open("noisy", self._since, reason)

    def _clean(self, seconds: float, since: float) -> None:
        if not self._clean_s:
            self._until = since
        self._clean_s += seconds
        self._noisy_s = 0.0 if self._open is None else self._noisy_s
        if self._open is not None and self._clean_s >= self._ledger.rules.noisy_s:
            self._ledger.end(self._open, self._until)
            self._open, self._noisy_s = None, 0.0


class Tampering:
    """Sound that is not what was declared, or that has come before, sample for sample."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._what: str | None = None  # is suspected now, or was last
        self._advice = ""
        self._open: str | None = None

    def hear(self, quality: events.Quality) -> None:
        """What is suspected of the sound."""
        what = next((one for one in DOUBTS if one in quality.problems), None)
        if what == (self._what if self._open is not None else None):
            return
        self.end(quality.t)
        if what is None:
            return
        since = quality.t
        if what == "repeated" and quality.repeated_since is not None:
            since = quality.repeated_since
        before = self._ledger.recent("tampering", NOISE_JOIN_S)
        if before is not None and what == self._what:
            self._open = before.id
            self._ledger.change(before.id, until=None, until_at=None, count=before.count + 1)
        else:
            self._open = self._ledger.open("tampering", since, "")
        self._what, self._advice = what, quality.advice
        self._ledger.change(self._open, reason=self._reason(None))

    def end(self, t: float | None = None) -> None:
        """It is over, or the stream is."""
        if self._open is not None:
            until = self._ledger.now.t if t is None else t
            self._ledger.end(self._open, until, self._reason(until))
            self._open = None

    def _reason(self, until: float | None) -> str:
        found = None if self._open is None else self._ledger.get(self._open)
        if found is None or self._what is None:
            return ""
        often = "" if found.count == 1 else f" {times(found.count)}"
        when = span(found.since, until)
        return f"{IN_DOUBT[self._what]}{often} {when}{technically(self._advice)}"
