"""What the record of a stream holds: frozen entries, each with a time of day and media time.

No name stands in an entry. Whoever is spoken of is a reference, the random number of a person in
the store or of a line of a roster (:mod:`streamer.records.references`), and what people typed, a
label or a note, is sealed with a key of the stream's own. Whoever reads a record through
:class:`streamer.records.book.Book` gets names and texts in their place, as far as they still exist.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from engine import events
from engine.scoring.expected_rates import ExpectedRate
from engine.scoring.measured_rates import MeasuredRates
from streamer.records.rules import IncidentRules
from streamer.wire.messages import Bounds, Mode, Model
from streamer.wire.requests import DeskAct, Judgement

ClipsAnswer = Literal["agreed", "refused", "unanswered"]  # to whether sound may be kept
RecordedEvent = (
    events.Decision
    | events.Change
    | events.Utterance
    | events.Overlap
    | events.Quality
    | events.Stalled
    | events.Lag
    | events.Failure
)


class VoiceprintFacts(msgspec.Struct, frozen=True, kw_only=True):
    """With which voiceprint a voice was compared: whose, and when they were enrolled.

    ``speaker`` is a reference in the stored entry, and a name in one that was read. Times are in
    seconds since 1970, ``speech_s`` is the net speech of the enrolment. The consent is the newest.
    """

    speaker: str
    enrolled_at: float
    expires_at: float | None = None
    speech_s: float
    consent_version: str
    consent_at: float


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """Base of all entries: ``at`` in seconds since 1970, ``t`` in seconds of media time."""

    at: float
    t: float


class Terms(Entry, frozen=True, kw_only=True, omit_defaults=True):
    """By what a voice is judged from here on: the claim, its voiceprints, and the error rates.

    ``voiceprints`` are those of the claim. ``compared`` counts all people that the voice is
    compared with, which is more where nobody is claimed.
    """

    mode: Mode
    claims: tuple[str, ...]
    voiceprints: tuple[VoiceprintFacts, ...]
    compared: int
    bounds: Bounds
    expected_rates: tuple[ExpectedRate, ...]


class Started(Terms, frozen=True, kw_only=True, omit_defaults=True, tag="started"):
    """A stream began. ``candidate`` is a line of the roster of ``exam``.

    ``measured`` is how often the model was wrong when its figures were fitted, ``rules`` say what
    is an incident; records of before have none. ``live`` is false for a recording that was sent
    as fast as it was taken. ``clips`` is what the candidate had said of whether sound may be kept,
    and none where none is kept.
    """

    stream: str
    label: str = ""
    exam: str | None = None
    candidate: str | None = None
    server: str
    model: Model
    false_alarms_per_hour: float
    measured: MeasuredRates = MeasuredRates()
    rules: IncidentRules | None = None
    live: bool
    clips: ClipsAnswer | None = None


class Claimed(Terms, frozen=True, kw_only=True, omit_defaults=True, tag="claimed"):
    """Other terms hold: somebody asked for it, or a voiceprint was renewed or deleted."""


class Told(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="told"):
    """An event as it was told, but for its number and its time of day, which is ``at``."""

    event: RecordedEvent


class Scores(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="scores"):
    """How the voice compared in this second: one score of each second of media time is kept.

    Without ``speaker`` it was compared with the only one who is claimed, as nearly every one is.
    """

    speaker: str = ""
    evidence: float | None
    llr: float


class Connection(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="connection"):
    """The client was lost, or came back to the same stream."""

    state: Literal["dropped", "resumed"]
    why: str = ""


class Waited(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="waited"):
    """Until then nothing came, and that was told: silence, or a lost connection.

    Without it the record of a stream that comes to no end would not say what desks were told live.
    """


class Suspended(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="suspended"):
    """The server's clock jumped from ``since`` to ``until`` (s since 1970).

    It did not run, as a laptop that sleeps, or the clock was put forward: nobody was silent.
    """

    since: float
    until: float


class Acted(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="acted"):
    """What somebody at the desk did. ``who`` is the name of their token, or this machine's user.

    ``incident`` is the id of the incident that it concerns, ``text`` a note in their words. Only
    a person gives a ``verdict``.
    """

    who: str
    act: DeskAct | Literal["viewed", "exported"]
    incident: str | None = None
    text: str = ""
    verdict: Judgement | None = None


class Clip(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="clip"):
    """The sound of an incident is kept beside the record, from ``since`` to ``until`` (media time).

    ``sha256``, in hexadecimal, is that of the Ogg Opus file which whoever listens gets.
    """

    incident: str
    since: float
    until: float
    sha256: str


class Missing(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="missing"):
    """``count`` entries could not be written from ``since`` to ``until`` (s since 1970)."""

    count: int
    since: float
    until: float
    why: str


class Ended(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="ended"):
    """The stream is over. ``code`` is the WebSocket close code, ``summary`` the engine's own."""

    code: int
    why: str
    summary: events.Summary | None = None


AnyEntry = (
    Started
    | Claimed
    | Told
    | Scores
    | Connection
    | Waited
    | Suspended
    | Acted
    | Clip
    | Missing
    | Ended
)

_decoder: msgspec.json.Decoder[AnyEntry] = msgspec.json.Decoder(AnyEntry)


def entry_from(body: bytes) -> AnyEntry:
    """An entry from the JSON in which it is kept. Raises :class:`msgspec.MsgspecError`."""
    return _decoder.decode(body)
