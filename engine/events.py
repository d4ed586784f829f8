"""What a session or an enrolment says: frozen records with media time.

Field names are those of wire version 1 (DESIGN.md). ``t`` and every ``_s`` are seconds;
``llr`` is a natural-log likelihood ratio.
"""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["insufficient", "match", "mismatch", "uncertain", "unknown"]
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
# Why a state is open, in the order in which it is looked for (``engine.decisions.doubt``).
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
LagReason = Literal["overload", "slow-consumer", "input-overflow"]
RefusalCode = Literal["too-short", "clipped", "noisy", "several-voices", "silent", "wrong-format"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all events: ``t`` is media time.

    ``seq`` is set by whoever hands events to a subscriber, who gets them numbered without
    gaps; the engine leaves it out. ``at_time`` is the time of day at which the sound until ``t``
    had come (RFC 3339, UTC), where the engine was told when it came.
    """

    seq: int | msgspec.UnsetType = msgspec.UNSET
    t: float
    at_time: str | msgspec.UnsetType = msgspec.UNSET


class Vad(Event, frozen=True, kw_only=True, tag="vad"):
    """Speech started or ended at ``at``; or a turn was asked for there, in speech or not."""

    speech: bool
    at: float


class Stalled(Event, frozen=True, kw_only=True, tag="stalled"):
    """No sound has come for ``gap_s`` of the clock, or, not ``stalled``, it is back after so long.

    While a stream is stalled its state is not current: who speaks now is not known. ``late_s`` of
    the sound that is back, from ``t`` on, came at once: it was said before, until it came.
    """

    stalled: bool
    gap_s: float
    late_s: float = 0.0


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
    the bounds ``accept_llr`` and ``reject_llr`` were held against: of several people who are all
    denied, that it is any of them. Less than 0.4 s of speech is
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


class Enrolled(Event, frozen=True, kw_only=True, tag="enrolled"):
    """An enrolment is complete; ``agreement`` is the lowest cosine of a part with the rest."""

    net_speech_s: float
    prototypes: int
    agreement: float


class Refused(Event, frozen=True, kw_only=True, tag="refused"):
    """An enrolment cannot be used; ``message`` says why and what to do."""

    code: RefusalCode
    message: str


AnyEvent = (
    Vad
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
    | Progress
    | Enrolled
    | Refused
)
