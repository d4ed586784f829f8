"""What Open edX is told of an attempt, from what was recorded. No I/O.

A machine says `passed`, `suspicious` or `not_reviewed`, and never that somebody has broken a rule.
What a person at the desk said goes before: `cleared` is `passed`, all else `suspicious`, for
the course team to decide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from streamer.edx.payloads import Comment, Review
from streamer.records.entries import Acted, AnyEntry, Told
from streamer.records.incidents.ledger import OTHERS
from streamer.wire.requests import Judgement

UNHEARD = 0.25  # share of an attempt in which it could not be heard, beyond which it is no `passed`
MOST_COMMENTS = 200
SAID: dict[Judgement, str] = {
    "cleared": "Whoever watched has cleared this attempt.",
    "violation": "Whoever watched takes this for a violation.",
    "needs-review": "Whoever watched asks for a review.",
}


class Incident(Protocol):
    """What is needed of an incident. Times in seconds since 1970."""

    @property
    def kind(self) -> str:
        """What it is."""

    @property
    def reason(self) -> str:
        """In a sentence."""

    @property
    def since_at(self) -> float:
        """When it began."""

    @property
    def until_at(self) -> float | None:
        """When it ended; None: it did not before its stream did."""

    @property
    def note_only(self) -> bool:
        """Whether an accommodation explains it."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded of an attempt, from where the learner was first heard until its end."""

    since_at: float
    until_at: float
    matched: bool = False  # whether it was ever found to be the learner who speaks
    verdict: Judgement | None = None  # the last of a person at the desk


def heard(since_at: float, until_at: float, streams: Iterable[Sequence[AnyEntry]]) -> Heard:
    """Of the entries of an attempt's streams. Decisions until its end count, verdicts always."""
    matched, verdict, given_at = False, None, -math.inf
    for entry in (entry for entries in streams for entry in entries):
        match entry:
            case Told(event=event) if entry.at <= until_at:
                matched = matched or getattr(event, "state", None) == "match"
            case Acted(act="verdict", verdict=said) if entry.at >= given_at:
                verdict, given_at = said, entry.at
    return Heard(since_at=since_at, until_at=until_at, matched=matched, verdict=verdict)


def review(found: Heard | None, incidents: Iterable[Incident]) -> Review:
    """Of what was ``heard``, None where the learner's page sent no sound; see the module."""
    if found is None:
        note = Comment(
            comment="No sound came of this attempt.", status="unknown", start=0, stop=0, duration=0
        )
        return Review(status="not_reviewed", comments=(note,))
    theirs = [one for one in incidents if found.since_at <= _end(one, found)]
    theirs = [one for one in theirs if one.since_at <= found.until_at]
    comments = [_comment(one, found) for one in theirs[:MOST_COMMENTS]]
    if found.verdict is not None:
        return Review(
            status="passed" if found.verdict == "cleared" else "suspicious",
            comments=(_said(found.verdict, found), *comments),
        )
    if any(one.kind in OTHERS and not one.note_only for one in theirs):
        return Review(status="suspicious", comments=tuple(comments))
    if not found.matched or _unheard(theirs, found) > UNHEARD:
        return Review(status="not_reviewed", comments=tuple(comments))
    return Review(status="passed", comments=tuple(comments))


def _said(verdict: Judgement, found: Heard) -> Comment:
    """What a person judged, of the whole attempt."""
    whole = math.ceil(found.until_at - found.since_at)
    return Comment(
        comment=SAID[verdict],
        status="unknown" if verdict == "cleared" else "suspicious",
        start=0,
        stop=whole,
        duration=whole,
    )


def _comment(incident: Incident, found: Heard) -> Comment:
    """A stretch in whole seconds, which holds all of the incident."""
    start = max(0, math.floor(incident.since_at - found.since_at))
    stop = max(start, math.ceil(_end(incident, found) - found.since_at))
    suspicious = incident.kind in OTHERS and not incident.note_only
    return Comment(
        comment=incident.reason,
        status="suspicious" if suspicious else "unknown",
        start=start,
        stop=stop,
        duration=stop - start,
    )


def _unheard(incidents: Iterable[Incident], found: Heard) -> float:
    """The share of the attempt that lies in incidents of the other kinds."""
    spans = sorted(
        (max(one.since_at, found.since_at), _end(one, found))
        for one in incidents
        if one.kind not in OTHERS
    )
    total, end = 0.0, found.since_at
    for since_at, until_at in spans:
        total += max(0.0, until_at - max(since_at, end))
        end = max(end, until_at)
    return total / max(found.until_at - found.since_at, 1.0)


def _end(incident: Incident, found: Heard) -> float:
    """Where it ended, within the attempt."""
    return min(found.until_at if incident.until_at is None else incident.until_at, found.until_at)
