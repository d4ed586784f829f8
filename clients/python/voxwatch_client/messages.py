"""What goes over the wire of version 1, as records: messages of the server and of clients.

Written by scripts/generate_wire.py from the server's own records. ``t`` and every ``_s`` are
seconds of media time; an ``llr`` is a natural-log likelihood ratio.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Encoding = Literal["pcm_s16le", "pcm_f32le", "mulaw", "alaw"]
Mode = Literal["verify", "identify", "changes"]
State = Literal["insufficient", "match", "mismatch", "uncertain", "unknown"]
Cause = Literal[
    "format-suspect",
    "rate-suspect",
    "little-speech",
    "noisy",
    "clipped",
    "quiet",
    "like-voices",
    "another-voice",
    "more-speech",
    "short-enrolment",
    "near-bound",
    "saturated",
]
Problem = Literal[
    "quiet",
    "clipped",
    "noisy",
    "no-speech",
    "dc-offset",
    "hum",
    "format-suspect",
    "rate-suspect",
    "repeated",
]
LagReason = Literal["overload", "slow-consumer", "input-overflow"]
RefusalCode = Literal["too-short", "clipped", "noisy", "several-voices", "silent", "wrong-format"]
IncidentKind = Literal[
    "takeover",
    "mismatch",
    "other-voice",
    "overlap",
    "undecided",
    "silent",
    "noisy",
    "tampering",
    "dropped",
]
DeskAct = Literal["acknowledge", "note", "verdict", "hold", "release"]
Judgement = Literal["cleared", "violation", "needs-review"]
SoundEncoding = Literal["pcm_s16le", "pcm_f32le", "mulaw", "alaw", "opus"]
SAMPLE_BYTES: dict[Encoding, int] = {"pcm_s16le": 2, "pcm_f32le": 4, "mulaw": 1, "alaw": 1}
# An `error` with one of these codes is the last message of its connection.
LAST = frozenset(
    {
        "audio-quota",
        "bad-message",
        "bad-name",
        "bad-parameter",
        "bad-rate",
        "bad-sound",
        "bad-start",
        "binary-before-start",
        "consent-missing",
        "consent-withdrawn",
        "encoding-unsupported",
        "engine-failed",
        "gap",
        "idle",
        "message-too-big",
        "name-taken",
        "no-records",
        "overloaded",
        "record-failed",
        "second-start",
        "shutting-down",
        "slow-consumer",
        "store-failed",
        "stream-too-long",
        "taken-over",
        "text-not-utf8",
        "too-many-attempts",
        "too-many-claims",
        "unauthorised",
        "unknown-control",
        "unknown-encoding",
        "unknown-session",
        "unknown-speaker",
        "unknown-stream",
        "unusable-voiceprint",
        "wrong-format",
        "wrong-frame",
    }
)


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all events: ``t`` is media time.

    ``seq`` is set by whoever hands events to a subscriber, who gets them numbered without
    gaps; the engine leaves it out. ``at_time`` is the time of day at which the sound until ``t``
    had come (RFC 3339, UTC), where the engine was told when it came.
    """

    seq: int | msgspec.UnsetType = msgspec.UNSET
    t: float
    at_time: str | msgspec.UnsetType = msgspec.UNSET
    stream: str | msgspec.UnsetType = msgspec.UNSET  # on monitors: the public id of the stream


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


class ExpectedRate(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """After ``speech_s`` of clean speech, where ``false_accept`` is stated.

    ``accepted`` is the share of strangers who are, ``not_accepted`` that of the right speakers
    who are not.
    """

    speech_s: float
    false_accept: float
    accepted: float
    not_accepted: float


class StreamLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a client has to keep to."""

    message_bytes: int
    idle_s: float
    stream_s: float
    backlog_s: float
    resume_s: float
    audio_s_per_client_hour: float | None = None
    attempts_per_hour: int | None = None


class Ready(Event, frozen=True, kw_only=True, tag="ready"):
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


class Configured(Event, frozen=True, kw_only=True, tag="configured"):
    """What holds from here on."""

    mode: Mode
    claims: tuple[str, ...]
    bounds: Bounds
    expected_rates: tuple[ExpectedRate, ...] = ()


class Received(Event, frozen=True, kw_only=True, tag="received"):
    """So many bytes of the stream were taken: none of them will be asked for again.

    It is told of Opus, of whose bytes a time says nothing.
    """

    received_bytes: int


class Vad(Event, frozen=True, kw_only=True, tag="vad"):
    """Speech started or ended at ``at``; or a turn was asked for there, in speech or not."""

    speech: bool
    at: float


class Stalled(Event, frozen=True, kw_only=True, tag="stalled"):
    """No sound has come for ``gap_s`` of the clock, or, not ``stalled``, it is back after so long.

    While a stream is stalled its state is not current: who speaks now is not known.
    """

    stalled: bool
    gap_s: float


class Score(Event, frozen=True, kw_only=True, tag="score"):
    """One window against one speaker: the claimed one, or the best of those enrolled.

    ``evidence`` is that the speaker speaks now, by all the speech so far: decisions rest on it,
    and not on ``llr``, which is the window's alone.
    """

    speaker: str
    cosine: float
    norm: float
    llr: float
    posterior: float
    runner_up: str | None
    net_speech_s: float
    window_s: float
    evidence: float | None = None


class Decision(Event, frozen=True, kw_only=True, tag="decision"):
    """The state from ``since`` on, and the evidence that made it.

    ``evidence`` is that of the speaker speaking now, ``accept_llr`` and
    ``reject_llr`` the bounds it was held against, ``llr`` that of the last window alone.
    ``voice`` is the session's label of whoever speaks, enrolled or not.

    While nothing is decided ``cause`` says why and ``advice`` what helps. ``attainable_llr`` is
    the evidence that much more of the same speech would come to, ``enrolled_s`` the net speech of
    the voiceprint, ``false_accept`` the error rate behind ``accept_llr``. A state that stays open
    is told again, ``since`` the same moment, where its cause has become another.
    """

    state: State
    speaker: str | None
    since: float
    llr: float | None
    net_speech_s: float
    reason: str
    evidence: float | None = None
    accept_llr: float | None = None
    reject_llr: float | None = None
    voice: str | None = None
    false_accept: float | None = None
    cause: Cause | None = None
    advice: str = ""
    attainable_llr: float | None = None
    enrolled_s: float | None = None


class Change(Event, frozen=True, kw_only=True, tag="change"):
    """Another voice, which began at about ``at`` and was noticed at ``detected_at``.

    ``from`` and ``to`` are names, where they were matched in this session, and otherwise its
    labels (`voice-1`, `voice-2`, ...), which stay with a voice that comes back. ``llr`` is that
    of the last window and the speech before: of one voice against two.
    """

    at: float
    detected_at: float
    llr: float
    from_speaker: str | None = msgspec.field(name="from")
    to_speaker: str | None = msgspec.field(name="to")


class Utterance(Event, frozen=True, kw_only=True, tag="utterance"):
    """A turn has ended, speech between two pauses, and is judged by its own speech alone.

    ``llr`` is that of exactly the turn's ``speech_s`` against ``speaker``, or against the best of
    those enrolled where nobody is named, ``posterior`` what follows from it, and ``evidence`` what
    the bounds ``accept_llr`` and ``reject_llr`` were held against. Less than 0.4 s of speech is
    ``insufficient``. ``voice`` is the session's label of the voice, ``problems`` are those of the
    turn's sound. ``background``: it is another voice, so far below the one before (``below_db``)
    that it is taken to be far from the microphone, as of a television, and no takeover. The
    fields from ``false_accept`` on are those of :class:`Decision`.
    """

    start: float
    end: float
    speech_s: float
    state: State
    speaker: str | None
    llr: float | None
    voice: str | None = None
    posterior: float | None = None
    evidence: float | None = None
    accept_llr: float | None = None
    reject_llr: float | None = None
    problems: tuple[Problem, ...] = ()
    reason: str = ""
    background: bool = False
    below_db: float | None = None
    false_accept: float | None = None
    cause: Cause | None = None
    advice: str = ""
    attainable_llr: float | None = None
    enrolled_s: float | None = None


class Overlap(Event, frozen=True, kw_only=True, tag="overlap"):
    """Two voices speak at once since ``start``, and once that is over, until ``end``."""

    start: float
    end: float | None


class Quality(Event, frozen=True, kw_only=True, tag="quality"):
    """The sound of the last period. Figures that cannot be known are ``None``.

    ``level_dbfs`` is the RMS of its speech, or of everything where nobody spoke;
    ``clipped`` the share of its samples at full scale; ``snr_db`` estimates speech over noise;
    ``speech_share`` is how much of it was speech. Where the sound is suspected of being other
    than declared, ``likely`` is what it is, as the parameter to start with, and ``advice`` says
    so in words. ``repeated_since``: from there on it is sound that has come before, sample for
    sample.
    """

    level_dbfs: float | None
    clipped: float
    snr_db: float | None
    speech_share: float
    problems: tuple[Problem, ...]
    likely: str | None = None
    advice: str = ""
    repeated_since: float | None = None


class Lag(Event, frozen=True, kw_only=True, tag="lag"):
    """Work came late or was dropped: ``behind_s`` how late, 0 once it is on time again.

    ``hop_s`` is the hop from now on, where that changed; ``dropped`` counts what was lost.
    """

    reason: LagReason
    behind_s: float
    hop_s: float | None
    dropped: int


class Failure(Event, frozen=True, kw_only=True, tag="error"):
    """A window that could not be scored: never silence, never a low score.

    ``retry_s``: after so many seconds it may be otherwise.
    """

    code: str
    message: str
    retry_s: float | msgspec.UnsetType = msgspec.UNSET


class Summary(Event, frozen=True, kw_only=True, tag="summary"):
    """The end: seconds received, of speech and of match, and how often each state was entered."""

    received_s: float
    speech_s: float
    match_s: float
    decisions: dict[str, int]
    model: str


class EnrollReady(Event, frozen=True, kw_only=True, tag="ready"):
    """The enrolment is open: so much net speech is wanted, and so much is the least."""

    server: str
    model: Model
    name: str
    needed_s: float
    min_s: float
    consent_text_version: str
    limits: StreamLimits


class EnrolledAs(Event, frozen=True, kw_only=True, tag="enrolled"):
    """The voiceprint is stored, durably, under ``name``.

    ``prototypes`` and ``net_speech_s`` are all that is kept of the person, ``agreement`` is
    that of this enrolment. ``like_voices`` are others who could be taken for this one.
    """

    name: str
    net_speech_s: float
    prototypes: int
    agreement: float
    like_voices: tuple[str, ...] = ()


class Progress(Event, frozen=True, kw_only=True, tag="progress"):
    """An enrolment under way: net speech gathered of what is needed, and how the sound is.

    The quality figures are those of :class:`Quality`, over the last two seconds.
    """

    net_speech_s: float
    needed_s: float
    percent: int
    level_dbfs: float | None
    clipped: float
    snr_db: float | None
    problems: tuple[Problem, ...]


class Refused(Event, frozen=True, kw_only=True, tag="refused"):
    """An enrolment cannot be used; ``message`` says why and what to do."""

    code: RefusalCode
    message: str


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """One open stream as monitors see it.

    ``speaking``: somebody speaks just now; ``speech_s`` is the net speech so far. ``stalled``: no
    sound comes, and the state is not current. ``candidate`` is the reference of a line of the
    roster of ``exam``; their name is the label.
    """

    stream: str
    label: str
    mode: Mode
    claims: tuple[str, ...]
    bounds: Bounds
    expected_rates: tuple[ExpectedRate, ...]
    model: Model
    state: State | None
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


class MonitorReady(Event, frozen=True, kw_only=True, tag="ready"):
    """The streams that are open now; what happens in them follows."""

    server: str
    streams: tuple[StreamState, ...]


class Opened(Event, frozen=True, kw_only=True, tag="opened"):
    """To monitors: a stream has opened."""

    exam: str | None = None
    candidate: str | None = None
    accommodations: tuple[str, ...] = ()
    label: str
    mode: Mode
    claims: tuple[str, ...]
    bounds: Bounds
    expected_rates: tuple[ExpectedRate, ...]
    model: Model
    window_s: float
    hop_s: float
    decide_s: float


class Closed(Event, frozen=True, kw_only=True, tag="closed"):
    """To monitors: a stream is gone; ``code`` is the WebSocket close code."""

    code: int


class Level(Event, frozen=True, kw_only=True, tag="level"):
    """To monitors: the peak, 0 to 127, of each ``step_s`` since the last."""

    step_s: float
    peaks: list[int]


class Incident(Event, frozen=True, kw_only=True, tag="incident"):
    """To monitors: something that a person should look at, told again whenever it has changed.

    It lasts from ``since`` to ``until``, in media time and in seconds since 1970; None: it goes
    on. ``reason`` is a sentence. ``speech_s`` is the net speech that it rests on, ``voice`` the
    session's label of whose it is, ``share`` theirs of all turns so far, ``count`` how often it
    happened. The higher ``severity`` the more it needs a person. ``note_only``: it calls nobody.
    It is open until somebody has acknowledged it.
    """

    id: str
    kind: IncidentKind
    since: float
    until: float | None = None
    since_at: float
    until_at: float | None = None
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


class Acted(Event, frozen=True, kw_only=True, tag="act"):
    """To monitors: what somebody at a desk did about a stream, ``at`` seconds since 1970."""

    at: float
    who: str
    act: DeskAct
    incident: str | None = None
    text: str = ""
    verdict: Judgement | None = None


class Verdict(Utterance, frozen=True, kw_only=True, tag="verdict"):
    """On a whole recording, as an `utterance` is on a turn, and what it was judged by.

    ``turns`` are the utterances in it.
    """

    mode: Mode
    claims: tuple[str, ...]
    bounds: Bounds
    received_s: float
    turns: tuple[Utterance, ...]
    model: Model


class WhatIsWrong(msgspec.Struct, frozen=True, kw_only=True):
    """An error's code, for programs, and what it is and what to do, for people."""

    code: str
    message: str


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a recording that gets no verdict."""

    error: WhatIsWrong


class StartStream(msgspec.Struct, frozen=True, kw_only=True):
    """The format of the sound and what to say of it; with ``session`` a dropped stream goes on.

    Of Opus ``channel`` alone counts: the rest its container tells. ``live`` false: it is a file,
    whose pace says nothing of pauses. ``candidate`` of ``exam`` is
    whose stream it is: then their voiceprint is claimed, and their name is the label.

    A session that goes on keeps what it was started with: of a start that resumes only
    ``session`` and ``resume_from``, the first sequence number the client lacks, count.
    """

    encoding: SoundEncoding = "pcm_s16le"
    sample_rate: int = 16000
    channels: int = 1
    channel: int = 0
    live: bool | None = None
    claim: str | list[str] = ""
    window_s: float | None = None
    hop_s: float | None = None
    false_accept: float | None = None
    miss: float | None = None
    label: str = ""
    exam: str | None = None
    candidate: str | None = None
    session: str | None = None
    resume_from: int | None = None


class GivenConsent(msgspec.Struct, frozen=True, kw_only=True):
    """That the person agreed, and to which text.

    ``text_sha256`` says to which wording of it, ``language`` in which of the languages of `seat` it
    was shown.
    """

    given: bool
    text_version: str
    text_sha256: str | None = None
    language: str | None = None


class StartEnroll(msgspec.Struct, frozen=True, kw_only=True):
    """Whose voice it is, that they agreed, and the format of the sound.

    Whoever comes by a candidate link has their name from the roster.
    """

    name: str = ""
    consent: GivenConsent | None = None
    ttl_days: float | None = None
    add: bool = False
    encoding: SoundEncoding = "pcm_s16le"
    sample_rate: int = 16000
    channels: int = 1
    channel: int = 0


class Configure(msgspec.Struct, frozen=True, kw_only=True, tag="configure"):
    """Other bounds or another claim from here on; what is ``None`` stays."""

    false_accept: float | None = None
    miss: float | None = None
    claim: str | list[str] | None = None


class Finalize(msgspec.Struct, frozen=True, kw_only=True, tag="finalize"):
    """The end of the sound: everything received is scored, then the summary."""


class Close(msgspec.Struct, frozen=True, kw_only=True, tag="close"):
    """The end, now: the summary of what is known."""


class Keepalive(msgspec.Struct, frozen=True, kw_only=True, tag="keepalive"):
    """No sound for now, but do not take the stream for idle."""


class Turn(msgspec.Struct, frozen=True, kw_only=True, tag="turn"):
    """A new turn begins here: a button was pushed to talk, or a wake word said."""


class Reset(msgspec.Struct, frozen=True, kw_only=True, tag="reset"):
    """Forget who has spoken: from here on it may be anybody."""


class Mute(msgspec.Struct, frozen=True, kw_only=True, tag="mute"):
    """From here on comes our own loudspeaker, or no longer: it is heard, and never judged."""

    on: bool


class Unknown(Event, frozen=True, kw_only=True, tag="unknown"):
    """What a newer server says and this client has no record for; ``fields`` are as it came."""

    kind: str
    fields: dict[str, object]


StreamMessage = (
    Ready
    | Configured
    | Received
    | Vad
    | Stalled
    | Score
    | Decision
    | Change
    | Utterance
    | Overlap
    | Quality
    | Lag
    | Failure
    | Summary
    | Unknown
)
EnrollMessage = EnrollReady | EnrolledAs | Received | Progress | Refused | Failure | Lag | Unknown
MonitorMessage = (
    MonitorReady
    | Opened
    | Closed
    | Level
    | Incident
    | Acted
    | Configured
    | Vad
    | Stalled
    | Score
    | Decision
    | Change
    | Utterance
    | Overlap
    | Quality
    | Lag
    | Failure
    | Summary
    | Unknown
)
StreamControl = Finalize | Close | Keepalive | Configure | Turn | Reset | Mute
