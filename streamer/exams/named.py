"""Which lines of rosters are those of one person, by what somebody calls them."""

from __future__ import annotations

from collections.abc import Iterable

from streamer.exams.errors import ExamError
from streamer.exams.exam import Candidate


def lines_of(everybody: Iterable[Candidate], voiceprint: str) -> list[Candidate]:
    """Those of whoever is enrolled under this name, or would be; nobody who was deleted."""
    return [one for one in everybody if one.voiceprint == voiceprint and not one.forgotten]


def lines_called(everybody: Iterable[Candidate], name: str) -> list[Candidate]:
    """Those of the one person who has this number on a roster, or would be enrolled under it.

    Numbers begin anew in each exam. Raises :class:`ExamError` where several people have it.
    """
    known = [one for one in everybody if not one.forgotten]
    if found := lines_of(known, name):
        return found
    voiceprints = sorted({one.voiceprint for one in known if one.candidate == name})
    if len(voiceprints) > 1:
        several = ", ".join(voiceprints)
        raise ExamError(f"{name!r} is the number of several people: name one of {several}")
    return lines_of(known, voiceprints[0]) if voiceprints else []
