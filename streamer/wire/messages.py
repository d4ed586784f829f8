"""What the server says in wire version 1. What a client says is in :mod:`streamer.wire.requests`.

A message has ``type``, ``seq`` and ``t`` (media seconds). The engine's events go as they are;
the messages here are those that only a server has, and incidents are in
:mod:`streamer.wire.incidents`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from engine import events
from engine.scoring.expected_rates import ExpectedRate
from streamer.wire.incidents import Acted, Incident


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
    audio_s_per_client_hour: float | None = None
    attempts_per_hour: int | None = None


Mode = Literal["verify", "identify", "changes"]


class Ready(events.Event, frozen=True, kw_only=True, tag="ready"):
    """The stream is open, or goes on: sound is taken from byte ``received_bytes`` on.

    ``session`` is the secret with which the stream resumes, ``stream`` its public name.
    ``claims`` are the names to verify; who is enrolled is not told to a stream that asks
    who it is. First scores come after ``first_s`` of speech, decisions after ``decide_s``.
    ``expected_rates`` are those of this stream's enrolment, by speech and stated false accepts.
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
    expected_rates: tuple[ExpectedRate, ...]
    operating_points: tuple[tuple[float, float, float], ...] | None
    limits: StreamLimits
    received_bytes: int
    resumed: bool


class Configured(events.Event, frozen=True, kw_only=True, tag="configured"):
    """What holds from here on."""

    mode: Mode
    claims: tuple[str, ...]
    bounds: Bounds
    expected_rates: tuple[ExpectedRate, ...] = ()


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
    that of this enrolment. ``like_voices`` are others who could be taken for this one.
    """

    name: str
    net_speech_s: float
    prototypes: int
    agreement: float
    like_voices: tuple[str, ...] = ()


class Verdict(events.Utterance, frozen=True, kw_only=True, tag="verdict"):
    """On a whole recording, as an `utterance` is on a turn, and what it was judged by.

    ``turns`` are the utterances in it, ``warnings`` what is wrong with the file though it is heard.
    """

    mode: Mode
    claims: tuple[str, ...]
    bounds: Bounds
    received_s: float
    turns: tuple[events.Utterance, ...]
    model: Model
    warnings: tuple[str, ...] = ()


class WhatIsWrong(msgspec.Struct, frozen=True, kw_only=True):
    """An error's code, for programs, and what it is and what to do, for people."""

    code: str
    message: str


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a recording that gets no verdict."""

    error: WhatIsWrong


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """One open stream as monitors see it.

    ``speaking``: somebody speaks just now; ``speech_s`` is the net speech so far. ``stalled``: no
    sound comes, and the state is not current. ``candidate`` is the reference of a line of the
    roster of ``exam``; their name is the label, and ``link_expires_at`` (seconds since 1970)
    ends a stream that came by a link.
    """

    stream: str
    label: str
    mode: Mode
    claims: tuple[str, ...]
    bounds: Bounds
    expected_rates: tuple[ExpectedRate, ...]
    model: Model
    state: events.State | None
    speaker: str | None
    since: float | None
    speaking: bool
    stalled: bool
    speech_s: float
    window_s: float
    hop_s: float
    decide_s: float
    received_s: float
    opened_at: float
    exam: str | None = None
    candidate: str | None = None
    accommodations: tuple[str, ...] = ()
    link_expires_at: float | None = None


class MonitorReady(events.Event, frozen=True, kw_only=True, tag="ready"):
    """The streams that are open now; what happens in them follows."""

    server: str
    streams: tuple[StreamState, ...]


class Opened(events.Event, frozen=True, kw_only=True, tag="opened"):
    """To monitors: a stream has opened.

    ``link_expires_at`` (seconds since 1970) ends a stream that came by a candidate link.
    """

    exam: str | None = None
    candidate: str | None = None
    accommodations: tuple[str, ...] = ()
    link_expires_at: float | None = None
    label: str
    mode: Mode
    claims: tuple[str, ...]
    bounds: Bounds
    expected_rates: tuple[ExpectedRate, ...]
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


class Received(events.Event, frozen=True, kw_only=True, tag="received"):
    """So many bytes of the stream were taken: none of them will be asked for again.

    It is told of Opus, of whose bytes a time says nothing.
    """

    received_bytes: int


StreamEvent = (
    events.Vad
    | events.Stalled
    | events.Score
    | events.Decision
    | events.Change
    | events.Utterance
    | events.Overlap
    | events.Quality
    | events.Lag
    | events.Failure
    | events.Summary
)
StreamMessage = Ready | Configured | Received | StreamEvent
# On a monitor each has `stream` as well, but for the first.
MonitorMessage = (
    MonitorReady | Opened | Closed | Level | Incident | Acted | Configured | StreamEvent
)
EnrollMessage = (
    EnrollReady
    | EnrolledAs
    | Received
    | events.Progress
    | events.Refused
    | events.Failure
    | events.Lag
)
ServerMessage = StreamMessage | EnrollMessage
