"""What a client says in wire version 1: the start of a stream, controls, requests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from engine.format import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, MOST_CHANNELS, Encoding

MAX_NOTE = 2000  # characters of what somebody writes about a stream
MAX_NAME = 64  # characters of a speaker's name and of a stream's label
MAX_LANGUAGES = 16  # that somebody reads


class _ClientMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what clients send: an unknown field is an error, never ignored."""


# What may come over a connection: PCM, or Opus in Ogg or WebM.
SoundEncoding = Literal[Encoding, "opus"]
LanguageTag = Annotated[  # RFC 5646, like de or pt-BR
    str, msgspec.Meta(pattern="^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", max_length=35)
]
Rate = Annotated[int, msgspec.Meta(ge=LOWEST_RATE_HZ, le=HIGHEST_RATE_HZ)]
Channels = Annotated[int, msgspec.Meta(ge=1, le=MOST_CHANNELS)]
Channel = Annotated[int, msgspec.Meta(ge=0, lt=MOST_CHANNELS)]
ErrorRate = Annotated[float, msgspec.Meta(gt=0, lt=0.5)]
Window = Annotated[float, msgspec.Meta(ge=2, le=5)]  # seconds of speech in a score
Hop = Annotated[float, msgspec.Meta(ge=0.25, le=5)]  # seconds of speech between scores
Claim = str | list[str]
Role = Literal["stream", "enrol", "monitor", "admin"]  # what a caller may do
DeskAct = Literal["acknowledge", "note", "verdict", "hold", "release"]
Judgement = Literal["cleared", "violation", "needs-review"]


class StartStream(_ClientMessage, frozen=True, kw_only=True):
    """The format of the sound and what to say of it; with ``session`` a dropped stream goes on.

    Of Opus ``channel`` alone counts: the rest its container tells. ``live`` false: it is a file,
    whose pace says nothing of pauses. ``candidate`` of ``exam`` is
    whose stream it is: then their voiceprint is claimed, and their name is the label.

    A session that goes on keeps what it was started with: of a start that resumes only
    ``session`` and ``resume_from``, the first sequence number the client lacks, count.
    """

    encoding: SoundEncoding = "pcm_s16le"
    sample_rate: Rate = 16_000
    channels: Channels = 1
    channel: Channel = 0
    live: bool | None = None
    claim: Claim = ""
    window_s: Window | None = None
    hop_s: Hop | None = None
    false_accept: ErrorRate | None = None
    miss: ErrorRate | None = None
    label: Annotated[str, msgspec.Meta(max_length=MAX_NAME)] = ""
    exam: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)] | None = None
    candidate: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)] | None = None
    session: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None
    resume_from: Annotated[int, msgspec.Meta(ge=0)] | None = None


class VerifyRecording(_ClientMessage, frozen=True, kw_only=True):
    """What is asked of a recording. A file tells its own format; raw PCM needs to be described."""

    encoding: Encoding | None = None
    sample_rate: Rate | None = None
    channels: Channels | None = None
    channel: Channel | None = None
    claim: Claim = ""
    false_accept: ErrorRate | None = None
    miss: ErrorRate | None = None

    @property
    def is_raw(self) -> bool:
        """Whether the recording is raw PCM."""
        return any(one is not None for one in (self.encoding, self.sample_rate, self.channels))


class GivenConsent(_ClientMessage, frozen=True, kw_only=True):
    """That the person agreed, and to which text.

    ``text_sha256`` says to which wording of it, ``language`` in which of the languages of `seat` it
    was shown.
    """

    given: bool
    text_version: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
    text_sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")] | None = None
    language: LanguageTag | None = None


class StartEnroll(_ClientMessage, frozen=True, kw_only=True):
    """Whose voice it is, that they agreed, and the format of the sound.

    Whoever comes by a candidate link has their name from the roster. ``live`` false: it is a file,
    whose pace says nothing of its rate.
    """

    name: str = ""
    consent: GivenConsent | None = None
    ttl_days: Annotated[float, msgspec.Meta(gt=0, le=36_500)] | None = None
    add: bool = False
    encoding: SoundEncoding = "pcm_s16le"
    sample_rate: Rate = 16_000
    channels: Channels = 1
    channel: Channel = 0
    live: bool | None = None


class Finalize(_ClientMessage, frozen=True, kw_only=True, tag="finalize"):
    """The end of the sound: everything received is scored, then the summary."""


class Close(_ClientMessage, frozen=True, kw_only=True, tag="close"):
    """The end, now: the summary of what is known."""


class Keepalive(_ClientMessage, frozen=True, kw_only=True, tag="keepalive"):
    """No sound for now, but do not take the stream for idle."""


class Configure(_ClientMessage, frozen=True, kw_only=True, tag="configure"):
    """Other bounds or another claim from here on; what is ``None`` stays."""

    false_accept: ErrorRate | None = None
    miss: ErrorRate | None = None
    claim: Claim | None = None


class Turn(_ClientMessage, frozen=True, kw_only=True, tag="turn"):
    """A new turn begins here: a button was pushed to talk, or a wake word said."""


class Reset(_ClientMessage, frozen=True, kw_only=True, tag="reset"):
    """Forget who has spoken: from here on it may be anybody."""


class Mute(_ClientMessage, frozen=True, kw_only=True, tag="mute"):
    """From here on comes our own loudspeaker, or no longer: it is heard, and never judged."""

    on: bool


StreamControl = Finalize | Close | Keepalive | Configure | Turn | Reset | Mute
CONTROLS = frozenset({"finalize", "close", "keepalive", "configure", "turn", "reset", "mute"})


class Authenticate(_ClientMessage, frozen=True, kw_only=True, tag="authenticate"):
    """From here on the connection has the roles of this token."""

    token: str


class Status(_ClientMessage, frozen=True, kw_only=True, tag="status"):
    """The server's state, limits and consent text."""


class ListStreams(_ClientMessage, frozen=True, kw_only=True, tag="streams"):
    """The streams that are open."""


class ListProfiles(_ClientMessage, frozen=True, kw_only=True, tag="profiles"):
    """Who is enrolled."""


class ShowProfile(_ClientMessage, frozen=True, kw_only=True, tag="profile"):
    """One person's profile."""

    name: str


class Export(_ClientMessage, frozen=True, kw_only=True, tag="export"):
    """All that is kept of one person."""

    name: str


class Delete(_ClientMessage, frozen=True, kw_only=True, tag="delete"):
    """Forget one person for good."""

    name: str


class History(_ClientMessage, frozen=True, kw_only=True, tag="history"):
    """What was recorded of a stream, from the entry after number ``after`` on."""

    stream: str
    after: Annotated[int, msgspec.Meta(ge=0)] = 0


class Recorded(_ClientMessage, frozen=True, kw_only=True, tag="recorded"):
    """Streams of an exam that are in the record, also what is over."""

    exam: str


class Incidents(_ClientMessage, frozen=True, kw_only=True, tag="incidents"):
    """Those of a stream, or of an exam, also of what is over; or of all streams that go on."""

    stream: str | None = None
    exam: str | None = None


class Act(_ClientMessage, frozen=True, kw_only=True, tag="act"):
    """What somebody at the desk does, for the record: `verdict` needs one, `note` a ``text``."""

    stream: str
    act: DeskAct
    incident: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)] | None = None
    text: Annotated[str, msgspec.Meta(max_length=MAX_NOTE)] = ""
    verdict: Judgement | None = None


class UrlToken(_ClientMessage, frozen=True, kw_only=True, tag="url_token"):
    """A token for one address, which a browser can open: it cannot send the header."""

    role: Role


class RosterLine(_ClientMessage, frozen=True, kw_only=True):
    """Somebody to be put on a roster, as a line of its CSV."""

    candidate: str
    name: str = ""
    voiceprint: str = ""
    accommodations: tuple[str, ...] = ()


class ExamCreate(_ClientMessage, frozen=True, kw_only=True, tag="exam-create"):
    """A new exam, from ``starts_at`` (now) to ``ends_at``, in seconds since 1970."""

    name: str
    ends_at: float
    starts_at: float | None = None
    rules: dict[str, Any] = {}


class ExamList(_ClientMessage, frozen=True, kw_only=True, tag="exam-list"):
    """All exams."""


class ExamShow(_ClientMessage, frozen=True, kw_only=True, tag="exam-show"):
    """One exam with its roster."""

    exam: str


class ExamEnd(_ClientMessage, frozen=True, kw_only=True, tag="exam-end"):
    """The exam is over: its streams end with their summaries, and its links hold no more."""

    exam: str


class Roster(_ClientMessage, frozen=True, kw_only=True, tag="roster"):
    """Put people on the roster of an exam, or change them; all or none."""

    exam: str
    add: tuple[RosterLine, ...]


class CandidateLink(_ClientMessage, frozen=True, kw_only=True, tag="candidate-link"):
    """The link of a candidate; with ``renew`` those that were given before hold no more."""

    exam: str
    candidate: str
    expires_at: float | None = None
    renew: bool = False


class ShowSeat(_ClientMessage, frozen=True, kw_only=True, tag="seat"):
    """For who came by a candidate link: whose it is, the text of consent, and what is kept.

    ``languages`` are those that they read, best first, as a browser lists them.
    """

    languages: Annotated[tuple[LanguageTag, ...], msgspec.Meta(max_length=MAX_LANGUAGES)] = ()


class AnswerClips(_ClientMessage, frozen=True, kw_only=True, tag="clips"):
    """For who came by a candidate link: whether sound around incidents may be kept.

    ``text_sha256`` and ``language`` are those of the question that `seat` told.
    """

    agreed: bool
    text_sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    language: LanguageTag | None = None


class Withdraw(_ClientMessage, frozen=True, kw_only=True, tag="withdraw"):
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
Request = (
    Authenticate
    | Status
    | ListStreams
    | ListProfiles
    | ShowProfile
    | Export
    | Delete
    | History
    | Recorded
    | Incidents
    | Act
    | UrlToken
    | ExamRequest
)
REQUESTS = frozenset(
    {"authenticate", "status", "streams", "profiles", "profile", "export", "delete", "url_token"}
    | {"exam-create", "exam-list", "exam-show", "exam-end", "roster", "candidate-link"}
    | {"seat", "clips", "withdraw"}
    | {"history", "recorded", "act", "incidents"}
)
