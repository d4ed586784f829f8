"""Whose voice it is: takeovers, voices that stay another, and others who speak in between."""

from __future__ import annotations

import re
from collections import deque
from typing import Any

import msgspec

from engine import events
from streamer.records.entries import Scores, Terms
from streamer.records.incidents.ledger import Ledger
from streamer.records.incidents.others import Other, Others
from streamer.records.incidents.words import clock, figures, lasted, span
from streamer.wire.incidents import Incident

SCORED = 600  # seconds with a score that are held: ten minutes of speech
LABEL = re.compile(r"voice-\d+")  # of a voice that has no name


class Voices:
    """Follows one stream. Nothing is said where the voice is compared with nobody."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._terms: Terms | None = None
        self._matched = False  # whether the expected one was the last to be decided on
        self._run: float | None = None  # since when a mismatch has been decided
        self._turns: list[events.Utterance] = []  # in it, while it is no incident
        self._open: str | None = None  # the takeover or mismatch that goes on
        self._confirmed = False  # whether a decision has said that it is somebody else
        self._evidence: float | None = None
        self._bound: float | None = None
        self._others = Others(ledger)
        self._scored: deque[int] = deque(maxlen=SCORED)  # seconds of media with a score

    def hold_to(self, terms: Terms) -> None:
        """Other terms hold: with another claim whatever was known of the voice is over."""
        before, self._terms = self._terms, terms
        if before is not None and (before.claims, before.mode) != (terms.claims, terms.mode):
            self._forget(self._ledger.now.t)

    def score(self, scores: Scores) -> None:
        """There was speech in this second."""
        second = int(scores.t)
        if not self._scored or self._scored[-1] != second:
            self._scored.append(second)
        if self._run is None or self._open is not None:
            return
        if self._speech_s(self._run) >= self._ledger.rules.incident_s:
            self._open_mismatch()

    def change(self, change: events.Change) -> None:
        """Another voice has begun: while the expected one was matched, that is a takeover."""
        known = change.to_speaker is not None and not LABEL.fullmatch(change.to_speaker)
        if not self._matched or self._open is not None or known:
            return
        self._confirmed, self._evidence = False, None
        self._open = self._ledger.open(
            "takeover",
            change.at,
            f"another voice began at {clock(change.at)}, while the expected one was matched;"
            " whose it is is not decided yet",
            voice=change.to_speaker,
        )

    def decide(self, decision: events.Decision) -> None:
        """The state has become another, or why it is open."""
        if decision.state != "uncertain":  # which says of nobody that it is them no more
            self._matched = decision.state == "match"
        if decision.state == "match":
            self._return(decision.since)
        elif decision.state in ("mismatch", "unknown"):
            self._reject(decision)
        elif decision.state == "insufficient":  # what was known has lapsed
            self._forget(decision.t)

    def hear(self, turn: events.Utterance) -> None:
        """A turn has its verdict."""
        if self._terms is not None and self._terms.mode == "changes":
            return
        self._others.hear(turn)
        if turn.state not in ("mismatch", "unknown") and not turn.background:
            return
        if self._open is not None:
            self._tell()
        elif self._run is None:
            self._others.add(Other.of(turn))
        else:
            self._turns.append(turn)

    def end(self) -> None:
        """The stream is over."""
        self._forget(self._ledger.now.t)

    def _reject(self, decision: events.Decision) -> None:
        self._evidence, self._bound = decision.evidence, decision.reject_llr
        if self._run is None:
            self._run = decision.since
        if self._open is not None:
            self._confirmed = True
            self._tell(voice=self._voice_of(self._open) or decision.voice)

    def _open_mismatch(self) -> None:
        assert self._run is not None
        self._confirmed, self._turns = True, []
        self._open = self._ledger.open("mismatch", self._run, "")
        self._tell()

    def _tell(self, **fields: Any) -> None:
        """What is known of the incident under way."""
        assert self._open is not None
        found = self._ledger.get(self._open)
        if found is None:
            return
        fields |= {"speech_s": self._speech_s(found.since)}
        if self._confirmed:
            fields |= {"evidence": self._evidence}
            fields |= {"reason": self._reason(msgspec.structs.replace(found, **fields))}
        self._ledger.change(self._open, **fields)

    def _reason(self, one: Incident) -> str:
        tail = figures(one.evidence, self._bound)
        when, speech = span(one.since, one.until), f"{lasted(one.speech_s)} of speech"
        if one.kind == "takeover":
            who = f"another voice ({one.voice})" if one.voice else "another voice"
            spoke = "has spoken" if one.until is None else "spoke"
            return f"{who} {spoke} {when} in place of the expected one, {speech}{tail}"
        compared = self._terms.compared if self._terms else 0
        none = self._terms is not None and self._terms.mode == "identify"
        whose = f"is none of the {compared} enrolled" if none else "is not the expected one"
        return f"the voice {whose} {when}, {speech}{tail}"

    def _return(self, since: float) -> None:
        """The expected voice is back."""
        self._end_run(since)
        self._end(since, back=True)

    def _end_run(self, until: float) -> None:
        """A mismatch that did not last long enough is somebody who spoke in between."""
        run, self._run = self._run, None
        turns, self._turns = self._turns, []
        if run is None or self._open is not None:
            return
        if turns:
            for turn in turns:
                self._others.add(Other.of(turn))
        elif run >= self._others.until and until > run:
            self._others.add(Other(run, until, self._speech_s(run, until)))

    def _end(self, until: float, *, back: bool = False) -> None:
        """The incident under way is over; a short takeover was somebody who spoke in between."""
        name, self._open = self._open, None
        found = None if name is None else self._ledger.get(name)
        if name is None or found is None:
            return
        speech_s = self._speech_s(found.since, until)
        brief = found.kind == "takeover" and speech_s < self._ledger.rules.incident_s
        ended = msgspec.structs.replace(found, until=max(until, found.since), speech_s=speech_s)
        if brief and back:
            share = self._others.share(speech_s)
            reason = (
                f"another voice spoke {span(ended.since, ended.until)}, about {lasted(speech_s)},"
                f" before the expected one went on{figures(found.evidence, self._bound)}"
            )
            self._ledger.end(
                name, until, reason, speech_s=speech_s, kind="other-voice", share=share
            )
        else:
            reason = self._reason(ended) if self._confirmed else _never_decided(ended)
            self._ledger.end(name, until, reason, speech_s=speech_s)
        self._others.until = max(self._others.until, until)

    def _forget(self, t: float) -> None:
        self._end_run(t)
        self._end(t)
        self._matched = False

    def _voice_of(self, name: str) -> str | None:
        found = self._ledger.get(name)
        return None if found is None else found.voice

    def _speech_s(self, since: float, until: float | None = None) -> float:
        """Speech in a span, about: a second of media with a score has a second of speech."""
        end = self._ledger.now.t if until is None else until
        counted = sum(since - 1 < second < end for second in self._scored)
        return round(min(counted, max(end - since, 0.0)), 3)


def _never_decided(one: Incident) -> str:
    return (
        f"another voice began at {clock(one.since)}, while the expected one was matched, and spoke"
        f" until {clock(one.until or one.since)}; whose it was was never decided"
    )
