"""Requests about exams and candidates, who come by a link: a part of those of the wire."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from streamer.wire.client_message import ClientMessage, LanguageTag

MAX_LANGUAGES = 16  # that somebody reads


class RosterLine(ClientMessage, frozen=True, kw_only=True):
    """Somebody to be put on a roster, as a line of its CSV."""

    candidate: str
    name: str = ""
    voiceprint: str = ""
    accommodations: tuple[str, ...] = ()


class ExamCreate(ClientMessage, frozen=True, kw_only=True, tag="exam-create"):
    """A new exam, from ``starts_at`` (now) to ``ends_at``, in seconds since 1970."""

    name: str
    ends_at: float
    starts_at: float | None = None
    rules: dict[str, Any] = msgspec.field(default_factory=dict)


class ExamList(ClientMessage, frozen=True, kw_only=True, tag="exam-list"):
    """All exams."""


class ExamShow(ClientMessage, frozen=True, kw_only=True, tag="exam-show"):
    """One exam with its roster."""

    exam: str


class ExamEnd(ClientMessage, frozen=True, kw_only=True, tag="exam-end"):
    """The exam is over: its streams end with their summaries, and its links hold no more."""

    exam: str


class Roster(ClientMessage, frozen=True, kw_only=True, tag="roster"):
    """Put people on the roster of an exam, or change them; all or none."""

    exam: str
    add: tuple[RosterLine, ...]


class CandidateLink(ClientMessage, frozen=True, kw_only=True, tag="candidate-link"):
    """The link of a candidate; with ``renew`` those that were given before hold no more."""

    exam: str
    candidate: str
    expires_at: float | None = None
    renew: bool = False


class ShowSeat(ClientMessage, frozen=True, kw_only=True, tag="seat"):
    """For who came by a candidate link: whose it is, the text of consent, and what is kept.

    ``languages`` are those that they read, best first, as a browser lists them.
    """

    languages: Annotated[tuple[LanguageTag, ...], msgspec.Meta(max_length=MAX_LANGUAGES)] = ()


class AnswerClips(ClientMessage, frozen=True, kw_only=True, tag="clips"):
    """For who came by a candidate link: whether sound around incidents may be kept.

    ``text_sha256`` and ``language`` are those of the question that `seat` told.
    """

    agreed: bool
    text_sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    language: LanguageTag | None = None


class Withdraw(ClientMessage, frozen=True, kw_only=True, tag="withdraw"):
    """Take back the consent of ``name``, or one's own by a candidate link.

    ``clips``: only that sound is kept, in the exam of the link, or in all of ``name``.
    """

    name: str | None = None
    clips: bool = False


ExamRequest = (
    ExamCreate
    | ExamList
    | ExamShow
    | ExamEnd
    | Roster
    | CandidateLink
    | ShowSeat
    | AnswerClips
    | Withdraw
)
