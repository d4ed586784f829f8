"""Who was claimed, as a report says it: what they agreed to, how they were enrolled, and by which
bounds they were judged."""

from __future__ import annotations

from datetime import datetime

from streamer.reports.parts import Part, Span


class Consent(Part, frozen=True, kw_only=True):
    """What a person agreed to, and whether they have withdrawn it since."""

    text_version: str
    given_at: datetime
    text_sha256: str = ""
    language: str = ""
    purpose: str = ""
    term: str = ""
    signed_by: str = ""
    withdrawn_at: datetime | None = None


class Enrolment(Part, frozen=True, kw_only=True):
    """The voiceprint that a claim was held against: facts about it, and never the template."""

    name: str
    enrolled_at: datetime | None = None
    speech_s: float | None = None
    expires_at: datetime | None = None
    consent: Consent | None = None


class Bounds(Part, frozen=True, kw_only=True):
    """The error rates that were asked for, and the bounds on the evidence that follow from them."""

    false_accept: float
    miss: float
    accept_llr: float
    reject_llr: float
    false_alarms_per_hour: float | None = None


class Claim(Span, frozen=True, kw_only=True):
    """Who it should have been for a while, and what they were held against.

    ``question`` says it in words; ``expected_rates`` are rows of net speech in seconds, stated
    false accepts, strangers accepted and right speakers not accepted.
    """

    question: str
    mode: str
    enrolments: tuple[Enrolment, ...]
    bounds: Bounds | None
    expected_rates: tuple[tuple[float, float, float, float], ...] = ()
