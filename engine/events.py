"""What a session says, as frozen records with a gapless sequence number and media time.

Field names are those of wire version 1 (DESIGN.md). ``t`` and every ``_s`` are seconds;
``llr`` is a natural-log likelihood ratio.
"""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["insufficient", "match", "mismatch", "uncertain", "unknown"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all events: ``seq`` counts from 0 without gaps, ``t`` is media time."""

    seq: int = -1
    t: float


class Vad(Event, frozen=True, kw_only=True, tag="vad"):
    """Speech started or ended at ``at``."""

    speech: bool
    at: float


class Score(Event, frozen=True, kw_only=True, tag="score"):
    """One window against one speaker: the claimed one, or the best of those enrolled."""

    speaker: str
    cosine: float
    norm: float
    llr: float
    posterior: float
    runner_up: str | None
    net_speech_s: float
    window_s: float


class Decision(Event, frozen=True, kw_only=True, tag="decision"):
    """The state from ``since`` on, and the evidence that made it."""

    state: State
    speaker: str | None
    since: float
    llr: float | None
    net_speech_s: float
    reason: str


class Change(Event, frozen=True, kw_only=True, tag="change"):
    """Another voice, which began between ``at`` and ``detected_at``.

    ``from`` is who was matched until then, if anyone; who it is now, later decisions tell.
    """

    at: float
    detected_at: float
    llr: float
    from_speaker: str | None = msgspec.field(name="from")
    to_speaker: str | None = msgspec.field(name="to")


class Failure(Event, frozen=True, kw_only=True, tag="error"):
    """A window that could not be scored: never silence, never a low score."""

    code: str
    message: str


class Summary(Event, frozen=True, kw_only=True, tag="summary"):
    """The end: seconds received, of speech and of match, and how often each state was entered."""

    received_s: float
    speech_s: float
    match_s: float
    decisions: dict[str, int]
    model: str


AnyEvent = Vad | Score | Decision | Change | Failure | Summary
