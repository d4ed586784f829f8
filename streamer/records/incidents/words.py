"""Why something is an incident, in one sentence with figures.

What could be climbed by (:mod:`streamer.server.figures`) stands at the end, in brackets that begin
with ``evidence``, so that it can be left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from engine.events import Cause

_FIGURES = re.compile(r" \(evidence [^)]*\)")
CAUSES: Mapping[Cause, str] = {
    "format-suspect": "the sound seems to be of another format",
    "rate-suspect": "the sound seems to be of another sample rate",
    "little-speech": "there is too little speech at a time",
    "noisy": "the sound is noisy",
    "clipped": "the sound is clipped",
    "quiet": "the sound is quiet",
    "like-voices": "two people have like voices",
    "another-voice": "another voice may have begun",
    "more-speech": "more speech will tell",
    "short-enrolment": "the enrolment is short",
}
# Causes that say by how much something is lacking.
BY_FIGURES: Mapping[Cause, str] = {
    "near-bound": "the voice is near the bound",
    "saturated": "more speech of this kind cannot decide",
}
# What the sound is suspected of, for people at a desk, who know of no encodings.
IN_DOUBT: Mapping[str, str] = {
    "repeated": (
        "exactly the same sound came once more, as from a recording or a loop and never from a"
        " microphone,"
    ),
    "format-suspect": (
        "the sound was not of the kind that its sender had announced, and does not tell who"
        " speaks: a program is set up wrongly, or stands in the microphone's place,"
    ),
    "rate-suspect": (
        "the sound came faster or slower than its sender had announced, and does not tell who"
        " speaks: a program is set up wrongly, or plays a recording,"
    ),
}


def without_figures(reason: str) -> str:
    """The sentence without what could be climbed by."""
    return _FIGURES.sub("", reason)


def clock(t: float) -> str:
    """Media time as ``1:02.5`` or ``1:02:03.5``."""
    tenths = round(10 * t)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    ahead = f"{hours}:{minutes:02d}" if hours else str(minutes)
    return f"{ahead}:{rest // 10:02d}.{rest % 10}"


def span(since: float, until: float | None) -> str:
    """``from 1:02.5 to 1:10.0``, or ``since 1:02.5``."""
    return f"since {clock(since)}" if until is None else f"from {clock(since)} to {clock(until)}"


def figures(evidence: float | None, bound: float | None) -> str:
    """The evidence and the bound that it was held to."""
    if evidence is None:
        return ""
    held = "" if bound is None else f", the bound is {bound:+.1f}"
    return f" (evidence {evidence:+.1f}{held})"


def technically(advice: str) -> str:
    """What whoever set up the sound can use, at the end of a sentence for others."""
    return f" (technically: {advice})" if advice else ""


def lasted(seconds: float) -> str:
    """``4.2 s``, ``75 s``, ``4 min 5 s``; cut off, as in a report, so that both say the same."""
    if seconds < 10:
        return f"{int(10 * seconds + 1e-6) / 10:.1f} s"
    whole = int(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60} s"


def times(count: int) -> str:
    """``once``, ``3 times``."""
    return "once" if count == 1 else f"{count} times"
