"""What the server tells monitors of incidents, and of what is done about them."""

from __future__ import annotations

from typing import Literal

from engine import events
from streamer.wire.requests import DeskAct, Judgement

IncidentKind = Literal[  # in the order of need, gravest first
    "takeover",
    "mismatch",
    "tampering",
    "other-voice",
    "overlap",
    "undecided",
    "silent",
    "noisy",
    "dropped",
]


class Incident(events.Event, frozen=True, kw_only=True, tag="incident"):
    """To monitors: something that a person should look at, told again whenever it has changed.

    It lasts from ``since`` to ``until``, in media time and in seconds since 1970; None: it goes
    on. ``reason`` is a sentence. ``speech_s`` is the net speech that it rests on, ``voice`` the
    session's label of whose it is, ``share`` theirs of all turns so far, ``count`` how often it
    happened. The higher ``severity`` the more it needs a person. ``note_only``: it calls nobody.
    ``came_at``: the sound of its beginning came late, at that time.
    It is open until somebody has acknowledged it.
    """

    id: str
    kind: IncidentKind
    since: float
    until: float | None = None
    since_at: float
    until_at: float | None = None
    came_at: float | None = None
    evidence: float | None = None
    speech_s: float = 0.0
    voice: str | None = None
    share: float | None = None
    count: int = 1
    reason: str
    severity: int
    note_only: bool = False
    acknowledged_by: str | None = None
    acknowledged_at: float | None = None


class Acted(events.Event, frozen=True, kw_only=True, tag="act"):
    """To monitors: what somebody at a desk did about a stream, ``at`` seconds since 1970."""

    at: float
    who: str
    act: DeskAct
    incident: str | None = None
    text: str = ""
    verdict: Judgement | None = None
