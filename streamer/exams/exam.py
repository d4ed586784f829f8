"""An exam, its rules, and the candidates on its roster: what is told of them. No I/O."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec

Accommodation = Literal["illness", "stutter", "interpreter", "whispering"]
ACCOMMODATIONS: tuple[Accommodation, ...] = get_args(Accommodation)
MAX_NAME = 64  # characters of an exam's name, and of a candidate's name and number

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
ErrorRate = Annotated[float, msgspec.Meta(gt=0, lt=0.5)]


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What candidates are held to, and from when on something is an incident.

    ``false_accept`` and ``miss`` are the tolerated error rates; None: the server's.
    ``incident_s`` is the speech that has to stay another voice before a mismatch is an incident.
    ``undecided_s`` of speech without a decision is an incident, and so is ``silent_s`` of the
    clock without speech where ``speaking`` says that candidates are expected to speak.
    ``enrol`` says whether somebody without a voiceprint may enrol by their link.
    """

    false_accept: ErrorRate | None = None
    miss: ErrorRate | None = None
    incident_s: Seconds = 5.0
    undecided_s: Seconds = 60.0
    silent_s: Seconds = 120.0
    speaking: bool = True
    enrol: bool = True


class Exam(msgspec.Struct, frozen=True, kw_only=True):
    """An exam. Times in seconds since 1970; ``ends_at`` is planned, ``ended_at`` is so."""

    id: str
    name: str
    starts_at: float
    ends_at: float
    rules: Rules
    created_at: float
    ended_at: float | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of a roster as it is given.

    ``candidate`` is what the examiner knows somebody by, unique in the exam. ``voiceprint`` is
    the name they are enrolled under; empty: one of their own for this exam.
    """

    candidate: Text
    name: Text
    voiceprint: Annotated[str, msgspec.Meta(max_length=MAX_NAME)] = ""
    accommodations: tuple[Accommodation, ...] = ()


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody on a roster.

    ``id`` is a random number in hexadecimal digits, and all that a record says of them. The rest
    is sealed with a key of their own: once that is destroyed ``forgotten`` is true, and ``name``
    and ``candidate`` are empty. ``link`` counts the links that were made anew for them.
    ``withdrawn_at`` is when they took their consent back, and ``clips_refused_at`` when they last
    said that no sound may be kept; ``opened_at`` is when the link that holds now was first opened,
    and ``link_expires_at`` until when it holds, to a minute, as far as one was given out. All four
    are in seconds since 1970.
    """

    id: str
    exam: str
    candidate: str = ""
    name: str = ""
    voiceprint: str = ""
    accommodations: tuple[Accommodation, ...] = ()
    link: int = 0
    withdrawn_at: float | None = None
    clips_refused_at: float | None = None
    opened_at: float | None = None
    link_expires_at: float | None = None
    forgotten: bool = False

    @property
    def shown(self) -> str:
        """What a person reads."""
        return self.name or f"(deleted {self.id[:8]})"


class ConsentRow(msgspec.Struct, frozen=True, kw_only=True):
    """That somebody agreed, to what, and how long that holds.

    ``person`` is the random number of the person in the store of voiceprints, ``candidate`` that
    of a line of a roster, or empty. ``signer`` is who gave it: the link or the token that was
    shown, or the user of the machine. ``term_s`` is how long that is kept which was agreed to;
    None: until it is deleted. ``clips``: that sound around incidents is kept was agreed to. Times
    in seconds since 1970.
    """

    person: str
    candidate: str
    text_sha256: str
    text_version: str
    language: str
    purpose: str
    term_s: float | None
    signer: str
    given_at: float
    withdrawn_at: float | None = None
    clips: bool = False


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate link opens: one person, one exam, until ``expires_at``."""

    exam: str
    candidate: str  # the id of the line, never a name
    link: int
    expires_at: float
