"""What a client says in wire version 1: the start of a stream, controls, requests.

Requests about exams are in :mod:`streamer.wire.exam_requests`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from engine.format import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, MOST_CHANNELS, Encoding
from streamer.wire.client_message import MAX_NAME, ClientMessage, LanguageTag
from streamer.wire.exam_requests import ExamRequest

MAX_NOTE = 2000  # characters of what somebody writes about a stream

# What may come over a connection: PCM, or Opus in Ogg or WebM.
SoundEncoding = Literal[Encoding, "opus"]
Rate = Annotated[int, msgspec.Meta(ge=LOWEST_RATE_HZ, le=HIGHEST_RATE_HZ)]
Channels = Annotated[int, msgspec.Meta(ge=1, le=MOST_CHANNELS)]
Channel = Annotated[int, msgspec.Meta(ge=0, lt=MOST_CHANNELS)]
ErrorRate = Annotated[float, msgspec.Meta(gt=0, lt=0.5)]
Window = Annotated[float, msgspec.Meta(ge=2, le=5)]  # seconds of speech in a score
Hop = Annotated[float, msgspec.Meta(ge=0.25, le=5)]  # seconds of speech between scores
Kept = Annotated[float, msgspec.Meta(ge=0, le=60)]  # seconds of sound: clients keep 30
Claim = str | list[str]
Role = Literal["stream", "enrol", "monitor", "admin"]  # what a caller may do
DeskAct = Literal["acknowledge", "note", "verdict", "hold", "release"]
Judgement = Literal["cleared", "violation", "needs-review"]


class StartStream(ClientMessage, frozen=True, kw_only=True):
    """The format of the sound and what to say of it; with ``session`` a dropped stream goes on.

    Of Opus ``channel`` alone counts: the rest its container tells. ``live`` false: it is a file,
    whose pace says nothing of pauses. ``kept_s`` of the sound that it begins with were said before,
    as there was no session to send them to. ``candidate`` of ``exam`` is whose stream it is: then
    their voiceprint is claimed, and their name is the label.

    A session that goes on keeps what it was started with: of a start that resumes only
    ``session`` and ``resume_from``, the first sequence number the client lacks, count.
    """

    encoding: SoundEncoding = "pcm_s16le"
    sample_rate: Rate = 16_000
    channels: Channels = 1
    channel: Channel = 0
    live: bool | None = None
    kept_s: Kept | None = None
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


class VerifyRecording(ClientMessage, frozen=True, kw_only=True):
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


class GivenConsent(ClientMessage, frozen=True, kw_only=True):
    """That the person agreed, and to which text.

    ``text_sha256`` says to which wording of it, ``language`` in which of the languages of `seat` it
    was shown.
    """

    given: bool
    text_version: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
    text_sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")] | None = None
    language: LanguageTag | None = None


class StartEnroll(ClientMessage, frozen=True, kw_only=True):
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


class Finalize(ClientMessage, frozen=True, kw_only=True, tag="finalize"):
    """The end of the sound: everything received is scored, then the summary."""


class Close(ClientMessage, frozen=True, kw_only=True, tag="close"):
    """The end, now: the summary of what is known."""


class Keepalive(ClientMessage, frozen=True, kw_only=True, tag="keepalive"):
    """No sound for now, but do not take the stream for idle."""


class Configure(ClientMessage, frozen=True, kw_only=True, tag="configure"):
    """Other bounds or another claim from here on; what is ``None`` stays."""

    false_accept: ErrorRate | None = None
    miss: ErrorRate | None = None
    claim: Claim | None = None


class Turn(ClientMessage, frozen=True, kw_only=True, tag="turn"):
    """A new turn begins here: a button was pushed to talk, or a wake word said."""


class Reset(ClientMessage, frozen=True, kw_only=True, tag="reset"):
    """Forget who has spoken: from here on it may be anybody."""


class Mute(ClientMessage, frozen=True, kw_only=True, tag="mute"):
    """From here on comes our own loudspeaker, or no longer: it is heard, and never judged."""

    on: bool


StreamControl = Finalize | Close | Keepalive | Configure | Turn | Reset | Mute
CONTROLS = frozenset({"finalize", "close", "keepalive", "configure", "turn", "reset", "mute"})


class Authenticate(ClientMessage, frozen=True, kw_only=True, tag="authenticate"):
    """From here on the connection has the roles of this token."""

    token: str


class Status(ClientMessage, frozen=True, kw_only=True, tag="status"):
    """The server's state, limits and consent text."""


class ListStreams(ClientMessage, frozen=True, kw_only=True, tag="streams"):
    """The streams that are open."""


class ListProfiles(ClientMessage, frozen=True, kw_only=True, tag="profiles"):
    """Who is enrolled."""


class ShowProfile(ClientMessage, frozen=True, kw_only=True, tag="profile"):
    """One person's profile."""

    name: str


class Export(ClientMessage, frozen=True, kw_only=True, tag="export"):
    """All that is kept of one person."""

    name: str


class Delete(ClientMessage, frozen=True, kw_only=True, tag="delete"):
    """Forget one person for good."""

    name: str


class History(ClientMessage, frozen=True, kw_only=True, tag="history"):
    """What was recorded of a stream, from the entry after number ``after`` on."""

    stream: str
    after: Annotated[int, msgspec.Meta(ge=0)] = 0


class Recorded(ClientMessage, frozen=True, kw_only=True, tag="recorded"):
    """Streams of an exam that are in the record, also what is over."""

    exam: str


class Incidents(ClientMessage, frozen=True, kw_only=True, tag="incidents"):
    """Those of a stream, or of an exam, also of what is over; or of all streams that go on."""

    stream: str | None = None
    exam: str | None = None


class Act(ClientMessage, frozen=True, kw_only=True, tag="act"):
    """What somebody at the desk does, for the record: `verdict` needs one, `note` a ``text``."""

    stream: str
    act: DeskAct
    incident: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)] | None = None
    text: Annotated[str, msgspec.Meta(max_length=MAX_NOTE)] = ""
    verdict: Judgement | None = None


class UrlToken(ClientMessage, frozen=True, kw_only=True, tag="url_token"):
    """A token for one address, which a browser can open: it cannot send the header."""

    role: Role


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
