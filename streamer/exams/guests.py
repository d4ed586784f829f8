"""Exams that another system holds: each is in one of ours, and learners come as they are sent."""

from __future__ import annotations

from streamer.exams.book import LONGEST_S, Exams
from streamer.exams.errors import UnknownCandidate
from streamer.exams.exam import MAX_NAME, Candidate, Entry, Exam, Rules


def exam_for(
    exams: Exams,
    current: str | None,
    name: str,
    rules: Rules,
    *,
    until: float,
    now: float,
    due_at: float | None = None,
) -> Exam:
    """The exam ``current`` if it goes on ``until`` then; else a new one, which ends ``due_at``.

    Times in seconds since 1970. Raises :class:`ExamError`.
    """
    if current is not None:
        found = exams.exam(current)
        if found.ended_at is None and found.ends_at >= until:
            return found
    latest = now + LONGEST_S - 1.0  # sums are rounded
    ends_at = max(until, min(due_at or latest, latest))
    return exams.create(printable(name, "Exam"), now, ends_at, rules, now)


def enter(exams: Exams, exam: Exam, learner: str, name: str) -> Candidate:
    """A line on the roster; one that is there keeps its accommodations. Raises `ExamError`.

    ``learner`` is nobody else's, so that their voiceprint serves in all exams of the platform.
    """
    try:
        accommodations = exams.candidate(exam.id, learner).accommodations
    except UnknownCandidate:
        accommodations = ()
    entry = Entry(
        candidate=learner,
        name=printable(name, f"Learner {learner[-8:]}"),
        voiceprint=learner,
        accommodations=accommodations,
    )
    return exams.add(exam.id, [entry])[0]


def printable(text: str, otherwise: str) -> str:
    """A name as rosters take them."""
    shown = "".join(char for char in text if char.isprintable()).strip()[:MAX_NAME].strip()
    return shown or otherwise
