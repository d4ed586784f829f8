"""Wire version 1: what the server says, its error codes, and how clients read it. Sans-IO.

JSON text messages; sound goes as binary ones. What a client says is in
:mod:`streamer.wire.requests`. Whatever cannot be read raises :class:`WireError` and nothing else,
with the code that goes over the wire and, in ``CLOSE_CODES``, the WebSocket close code that
follows it (RFC 6455, section 7.4.1).

A message of the server has ``type``, ``seq`` and ``t`` (media seconds). The engine's events
go as they are; the messages here are those that only a server has.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from engine import events
from engine.errors import VoxwatchError

SERVER = "voxwatch"
VERSION = 1
MAX_TOLD = 200  # characters of a parser's complaint that are passed on

POLICY, TRY_LATER, GOING_AWAY, INTERNAL = 1008, 1013, 1001, 1011
CLOSE_CODES: dict[str, int] = {
    "binary-before-start": 1003,
    "wrong-frame": 1003,
    "text-not-utf8": 1007,
    "message-too-big": 1009,
    "bad-start": POLICY,
    "unknown-encoding": POLICY,
    "bad-rate": POLICY,
    "bad-parameter": POLICY,
    "unknown-speaker": POLICY,
    "unusable-voiceprint": POLICY,
    "too-many-claims": POLICY,
    "bad-message": POLICY,
    "unknown-control": POLICY,
    "second-start": POLICY,
    "bad-sound": POLICY,
    "unknown-session": POLICY,
    "gap": POLICY,
    "taken-over": POLICY,
    "unauthorised": POLICY,
    "idle": POLICY,
    "stream-too-long": POLICY,
    "audio-quota": POLICY,
    "slow-consumer": POLICY,
    "consent-missing": POLICY,
    "name-taken": POLICY,
    "bad-name": POLICY,
    "overloaded": TRY_LATER,
    "shutting-down": GOING_AWAY,
    "store-failed": INTERNAL,
    "engine-failed": INTERNAL,
}
# An `error` with one of these codes is the last message of its connection; any other
# (`window-failed`, `claim-ended`) is news of a stream that goes on.


class WireError(VoxwatchError):
    """What the other side sent or asked for cannot be; ``code`` is told over the wire."""

    def __init__(self, code: str, message: str, request_id: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id  # of a control request that could be read that far

    @property
    def close_code(self) -> int:
        """The WebSocket close code that follows."""
        return CLOSE_CODES.get(self.code, POLICY)


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle that is served, and what it runs on."""

    name: str
    version: str
    sha256: str
    provider: str


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """The error rates asked for and the LLR bounds that follow from them."""

    false_accept: float
    miss: float
    accept_llr: float
    reject_llr: float


class StreamLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a client has to keep to."""

    message_bytes: int
    idle_s: float
    stream_s: float
    backlog_s: float
    resume_s: float


Mode = Literal["verify", "identify", "changes"]


class Ready(events.Event, frozen=True, kw_only=True, tag="ready"):
    """The stream is open, or goes on: sound is taken from byte ``received_bytes`` on.

    ``session`` is the secret with which the stream resumes, ``stream`` its public name.
    ``claims`` are the names to verify; who is enrolled is not told to a stream that asks
    who it is. First scores come after ``first_s`` of speech, decisions after ``decide_s``.
    """

    session: str
    stream: str
    server: str
    model: Model
    mode: Mode
    claims: tuple[str, ...]
    window_s: float
    hop_s: float
    first_s: float
    decide_s: float
    bounds: Bounds
    operating_points: tuple[tuple[float, float, float], ...] | None
    limits: StreamLimits
    received_bytes: int
    resumed: bool


class Configured(events.Event, frozen=True, kw_only=True, tag="configured"):
    """What holds from here on."""

    mode: Mode
    claims: tuple[str, ...]
    bounds: Bounds


class EnrollReady(events.Event, frozen=True, kw_only=True, tag="ready"):
    """The enrolment is open: so much net speech is wanted, and so much is the least."""

    server: str
    model: Model
    name: str
    needed_s: float
    min_s: float
    consent_text_version: str
    limits: StreamLimits


class EnrolledAs(events.Event, frozen=True, kw_only=True, tag="enrolled"):
    """The voiceprint is stored, durably, under ``name``.

    ``prototypes`` and ``net_speech_s`` are all that is kept of the person, ``agreement`` is
    that of this enrolment.
    """

    name: str
    net_speech_s: float
    prototypes: int
    agreement: float


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """One open stream as monitors see it.

    ``speaking``: somebody speaks just now; ``speech_s`` is the net speech so far.
    """

    stream: str
    label: str
    mode: Mode
    claims: tuple[str, ...]
    bounds: Bounds
    model: Model
    state: events.State | None
    speaker: str | None
    since: float | None
    speaking: bool
    speech_s: float
    window_s: float
    hop_s: float
    decide_s: float
    received_s: float
    opened_at: float


class MonitorReady(events.Event, frozen=True, kw_only=True, tag="ready"):
    """The streams that are open now; what happens in them follows."""

    server: str
    streams: tuple[StreamState, ...]


class Opened(events.Event, frozen=True, kw_only=True, tag="opened"):
    """To monitors: a stream has opened."""

    label: str
    mode: Mode
    claims: tuple[str, ...]
    bounds: Bounds
    model: Model
    window_s: float
    hop_s: float
    decide_s: float


class Closed(events.Event, frozen=True, kw_only=True, tag="closed"):
    """To monitors: a stream is gone; ``code`` is the WebSocket close code."""

    code: int


class Level(events.Event, frozen=True, kw_only=True, tag="level"):
    """To monitors: the peak, 0 to 127, of each ``step_s`` since the last."""

    step_s: float
    peaks: list[int]


StreamEvent = (
    events.Vad
    | events.Score
    | events.Decision
    | events.Change
    | events.Utterance
    | events.Quality
    | events.Lag
    | events.Failure
    | events.Summary
)
StreamMessage = Ready | Configured | StreamEvent
EnrollMessage = (
    EnrollReady | EnrolledAs | events.Progress | events.Refused | events.Failure | events.Lag
)
ServerMessage = StreamMessage | EnrollMessage

_STREAM: msgspec.json.Decoder[StreamMessage] = msgspec.json.Decoder(StreamMessage)
_ENROLL: msgspec.json.Decoder[EnrollMessage] = msgspec.json.Decoder(EnrollMessage)


def decode(text: str | bytes) -> StreamMessage:
    """What the server said on a stream's connection. Raises :class:`WireError`."""
    try:
        return _STREAM.decode(text)
    except (ValueError, RecursionError) as error:
        raise WireError("bad-message", f"not a message of a stream: {_told(error)}") from error


def decode_enrolment(text: str | bytes) -> EnrollMessage:
    """What the server said on an enrolment's connection. Raises :class:`WireError`."""
    try:
        return _ENROLL.decode(text)
    except (ValueError, RecursionError) as error:
        raise WireError("bad-message", f"not a message of an enrolment: {_told(error)}") from error


def is_last(message: ServerMessage) -> bool:
    """Whether the connection closes after this message because of an error."""
    return isinstance(message, events.Failure) and message.code in CLOSE_CODES


def _told(error: BaseException) -> str:
    return str(error)[:MAX_TOLD]
