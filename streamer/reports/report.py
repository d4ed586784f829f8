"""What a report says, whatever form it is given: HTML, PDF, JSON or CSV.

Fields that end in ``_at`` are times of day with the report's zone. ``since``, ``until`` and all
that ends in ``_s`` are seconds, of media where nothing else is said. None is what is not known.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from engine.scoring.measured_rates import MeasuredRates
from streamer.records.entries import ClipsAnswer
from streamer.reports.claims import Claim, Consent
from streamer.reports.parts import Part, Span

FORMAT = "voxwatch-report-2"
VerdictWord = Literal["cleared", "violation", "needs-review"]


class Verdict(Part, frozen=True, kw_only=True):
    """What a person found, who it was, and when. A machine gives none."""

    verdict: VerdictWord
    who: str
    at: datetime
    note: str = ""


class Note(Part, frozen=True, kw_only=True):
    """What somebody at the desk wrote, about an incident or about the session."""

    who: str
    at: datetime
    text: str


class Segment(Span, frozen=True, kw_only=True):
    """A stretch of one state, by the claim that held at the time and no later one."""

    state: str
    speaker: str | None
    evidence: float | None = None
    reason: str = ""


class Turn(Span, frozen=True, kw_only=True):
    """Speech between two pauses, judged by itself."""

    speech_s: float
    state: str
    speaker: str | None
    llr: float | None
    evidence: float | None = None
    reason: str = ""


class ClipDeletion(Part, frozen=True, kw_only=True):
    """That the sound of an incident is gone: when, by whom and why, if the record says so."""

    at: datetime | None = None
    who: str = ""
    why: str = ""


class Incident(Span, frozen=True, kw_only=True):
    """Something that needs a look, with what became of it at the desk.

    ``clip_sha256``: the record has sound of it, an Ogg Opus file with that sha256, or had it where
    there is a ``clip_deleted``. ``came_at``: the sound of its beginning came later than it was
    said.
    """

    id: str
    came_at: datetime | None = None
    kind: str
    title: str
    severity: int
    reason: str
    evidence: float | None = None
    speech_s: float | None = None
    voice: str | None = None
    share: float | None = None
    count: int = 1
    note_only: bool = False
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    notes: tuple[Note, ...] = ()
    clip_sha256: str | None = None
    clip_deleted: ClipDeletion | None = None

    @property
    def state(self) -> str:
        """What became of it, in a word."""
        if self.note_only:
            return "noted"
        return "acknowledged" if self.acknowledged_at else "open"


class SoundProblem(Span, frozen=True, kw_only=True):
    """A stretch in which the sound was poor, and how."""

    problems: tuple[str, ...]
    level_dbfs: float | None = None
    snr_db: float | None = None


GapKind = Literal[
    "no-sound",
    "disconnected",
    "not-running",
    "late",
    "scores-left-out",
    "not-scored",
    "not-recorded",
]


class Gap(Span, frozen=True, kw_only=True):
    """Something that is lacking: sound, the connection, scores, or entries of the record.

    Where the server was ``late`` nothing is, but that it could be told later only.
    """

    kind: GapKind
    detail: str
    count: int | None = None

    @property
    def lacks(self) -> bool:
        """Whether something is lacking: what came late is there."""
        return self.kind != "late"


class Model(Part, frozen=True, kw_only=True):
    """What computed the scores, and how often its decisions were wrong when that was measured."""

    name: str
    version: str
    sha256: str
    measured: MeasuredRates = MeasuredRates()


class Chain(Part, frozen=True, kw_only=True):
    """The end of the chain of entries, by which anybody can tell whether the record was changed.

    ``signature`` is over count and head (Ed25519), ``key`` the public key of who made it, both in
    hexadecimal. That of the register is over ``heads``, too, the sum of where all streams end.
    ``problems`` is what a check found when the report was made; none: it is whole.
    """

    count: int
    head: str
    signature: str = ""
    key: str = ""
    heads: str = ""
    problems: tuple[str, ...] = ()


class Signed(Part, frozen=True, kw_only=True):
    """The record's signature of all else that a report says (:mod:`~streamer.reports.signing`).

    ``digest`` is the SHA-256 of its lines, ``signature`` (Ed25519) and the public ``key`` are in
    hexadecimal as well. ``lines`` has the first bytes of each line's own digest (base64).
    """

    digest: str
    lines: str
    signature: str
    key: str


class Point(msgspec.Struct, frozen=True, array_like=True):
    """The evidence for the claimed person at a second of media."""

    t: float
    evidence: float


class Session(Part, frozen=True, kw_only=True):
    """One stream, from its start to its end. ``ended_at`` None: it goes on, or its end is lost.

    ``live`` is false for a recording that was sent as fast as it was taken, and None where that is
    not known. ``clips`` is what the candidate had said of whether sound may be kept.
    """

    stream: str
    label: str
    began_at: datetime
    ended_at: datetime | None
    ended_why: str
    received_s: float
    speech_s: float
    match_s: float | None
    live: bool | None
    clips: ClipsAnswer | None = None
    model: Model | None
    claims: tuple[Claim, ...]
    segments: tuple[Segment, ...]
    turns: tuple[Turn, ...]
    incidents: tuple[Incident, ...]
    sound: tuple[SoundProblem, ...]
    gaps: tuple[Gap, ...]
    notes: tuple[Note, ...]
    verdicts: tuple[Verdict, ...]
    evidence: tuple[Point, ...]
    chain: Chain | None


class Exam(Part, frozen=True, kw_only=True):
    """The exam that the sessions belong to.

    ``ends_at`` is planned, ``ended_at`` is so. ``rules`` are what counts as an incident, in words.
    """

    id: str
    name: str
    began_at: datetime | None = None
    ends_at: datetime | None = None
    ended_at: datetime | None = None
    rules: tuple[str, ...] = ()


class Report(Part, frozen=True, kw_only=True):
    """All that is told of one candidate, or of one stream that belongs to no exam.

    ``verdicts`` are all that were given, the last one counts. ``consent`` is the candidate's own
    for this exam, beside those that the voiceprints rest on, and ``clips_consent`` that to clips
    alone. ``record_problems`` is what a check found of streams that are not there to be told of:
    none, and nothing was removed. ``made_at`` is when it was asked for; it is read after that.
    ``signed`` is in the report as JSON.
    """

    format: str = FORMAT
    made_at: datetime
    made_by: str
    zone: str
    software: str
    candidate: str
    candidate_reference: str = ""
    accommodations: tuple[str, ...] = ()
    consent: Consent | None = None
    clips_consent: Consent | None = None
    exam: Exam | None = None
    verdicts: tuple[Verdict, ...] = ()
    sessions: tuple[Session, ...] = ()
    record_problems: tuple[str, ...] = ()
    signed: Signed | None = None

    @property
    def verdict(self) -> Verdict | None:
        """The last that was given."""
        return self.verdicts[-1] if self.verdicts else None

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """Those of all sessions, in order of time."""
        return tuple(one for session in self.sessions for one in session.incidents)

    @property
    def began_at(self) -> datetime | None:
        """When the first session began."""
        return min((session.began_at for session in self.sessions), default=None)

    @property
    def speech_s(self) -> float:
        """Net speech of all sessions."""
        return sum(session.speech_s for session in self.sessions)
