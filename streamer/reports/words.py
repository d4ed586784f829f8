"""Times, figures, incidents and verdicts in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

DASH, MINUS, TIMES = "\N{EN DASH}", "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
INCIDENTS = {
    "takeover": "Another voice took over",
    "mismatch": "The voice does not match",
    "other-voice": "Somebody else spoke",
    "overlap": "Two people spoke at once",
    "undecided": "Undecided for long",
    "silent": "Silent though speech was expected",
    "noisy": "Too noisy to judge",
    "tampering": "The sound may have been tampered with",
    "dropped": "The connection was lost",
}
VERDICTS = {
    "cleared": "Cleared",
    "violation": "Violation",
    "needs-review": "Needs review",
}
CLIPS = {
    "agreed": "the candidate agreed that sound around incidents is kept",
    "refused": "the candidate refused it: no sound is kept",
    "unanswered": "the candidate did not say whether it may be kept: no sound is",
}
NO_VERDICT = "No verdict yet"
STATES = {
    "match": "Match",
    "mismatch": "Does not match",
    "changed": "Another voice",
    "uncertain": "Uncertain",
    "insufficient": "Not enough to decide",
    "unknown": "Nobody enrolled",
    "lapsed": "Nothing decided",
}
GAPS = {
    "no-sound": "No sound came",
    "disconnected": "The connection was lost",
    "not-running": "The server's clock jumped",
    "late": "Decisions came late",
    "scores-left-out": "Scores were left out",
    "not-scored": "Sound could not be scored",
    "not-recorded": "The record is incomplete",
}
PROBLEMS = {
    "quiet": "too quiet",
    "clipped": "too loud",
    "noisy": "noisy",
    "no-speech": "no speech",
    "dc-offset": "constant offset",
    "hum": "mains hum",
    "format-suspect": "format other than declared",
    "rate-suspect": "rate other than declared",
    "repeated": "the same sound as before",
}


def worded(table: dict[str, str], code: str) -> str:
    """The words for a code; of one that is not known here the code itself."""
    return table.get(code, code)


def clock(seconds: float) -> str:
    """Media time: "0:42", "12:05", "1:02:05"."""
    whole = max(0, int(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def duration(seconds: float) -> str:
    """ "4.2 s", "58 s", "2 min 5 s", "1 h 12 min"; cut off, so that no part is over the whole."""
    if seconds < 10:
        return f"{int(10 * seconds + 1e-6) / 10:.1f} s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    minutes = whole // 60 % 60
    return f"{whole // 3600} h {minutes} min" if minutes else f"{whole // 3600} h"


def day(at: datetime) -> str:
    """ "2026-11-28"."""
    return f"{at:%Y-%m-%d}"


def time_of_day(at: datetime) -> str:
    """ "14:03:07"; the zone stands once in every report, and beside every date."""
    return f"{at:%H:%M:%S}"


def late(came_at: datetime) -> str:
    """That the sound of something came later than it was said."""
    return f"Its sound came later than it was said, at {time_of_day(came_at)}."


def moment(at: datetime) -> str:
    """ "2026-11-28 14:03:07 CET (UTC+01:00)"."""
    offset = f"UTC{at:%z}"[:6] + ":" + f"{at:%z}"[3:5]
    zone = at.tzname() or ""
    named = "UTC" if zone == "UTC" else offset if zone == offset else f"{zone} ({offset})"
    return f"{at:%Y-%m-%d %H:%M:%S} {named}"


def llr(value: float) -> str:
    """A log-likelihood ratio, with its sign: "+6.2"."""
    return f"{'+' if value >= 0 else MINUS}{abs(value):.1f}"


def percent(share: float) -> str:
    """ "1 %", "0.2 %"."""
    return f"{100 * share:.3g} %"


def any_of(names: Sequence[str]) -> str:
    """ "Anna", "Anna or Bert", "Anna, Bert or Carla"."""
    if len(names) < 2:
        return names[0] if names else "anybody"
    return f"{', '.join(names[:-1])} or {names[-1]}"


def voice(name: str) -> str:
    """A name as it is; a label of the session, which says nothing by itself, in words."""
    kind, _, number = name.partition("-")
    return f"an unknown voice (voice {number})" if kind == "voice" and number.isdigit() else name


def state(code: str, speaker: str | None) -> str:
    """ "Match: Anna", "Does not match Anna", "Another voice: an unknown voice (voice 2)"."""
    said = worded(STATES, code)
    if speaker is None or code in ("insufficient", "uncertain", "lapsed"):
        return said
    return f"{said} {voice(speaker)}" if code == "mismatch" else f"{said}: {voice(speaker)}"


def counted(count: float, noun: str) -> str:
    """ "1 incident", "3 incidents"."""
    return f"{count:g} {noun}{'' if count == 1 else 's'}"
