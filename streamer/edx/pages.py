"""The pages of course teams, who come from Open edX: the exams of a course, and their attempts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from streamer.edx.book import Attempt, EdxExam
from streamer.edx.payloads import Review
from streamer.exams.pages import moment, page, table

WORDS = {"passed": "passed", "suspicious": "suspicious", "not_reviewed": "not reviewed"}
NOTE = (
    "A machine says passed, suspicious or not reviewed, and never that a rule was broken: that is"
    " for people to decide, who have heard the learner first."
)


def course_page(exams: Iterable[EdxExam]) -> str:
    """The exams of a course, each with a link to its attempts."""
    rows = [
        (f'<a href="exam/{escape(exam.id)}/">{escape(exam.name)}</a>', _kind(exam))
        for exam in exams
    ]
    found = table(("Exam", "Kind"), rows) if rows else "<p>No exam of this course is known.</p>"
    return page("Exams", f"<h1>Exams</h1>{found}")


def exam_page(exam: EdxExam, attempts: Sequence[tuple[Attempt, str]]) -> str:
    """The attempts of an exam, each with the learner's name."""
    rows = [
        (
            f'<a href="attempt/{escape(one.id)}/">{escape(name)}</a>',
            moment(one.started_at or one.created_at),
            escape(one.status),
            _word(one.review),
        )
        for one, name in attempts
    ]
    title = escape(exam.name)
    found = table(("Learner", "Since", "Status", "Review"), rows)
    body = found if rows else "<p>Nobody has sat this exam yet.</p>"
    rules = _rules(exam)
    return page(exam.name, f"<h1>{title}</h1>{rules}{body}<p>{NOTE}</p>")


def attempt_page(exam: EdxExam, attempt: Attempt, name: str) -> str:
    """What an attempt came to, with its stretches in seconds, and the way to its report."""
    rows = [
        (_seconds(one.start), _seconds(one.stop), one.status, escape(one.comment))
        for one in (attempt.review.comments if attempt.review else ())
    ]
    found = table(("From", "To", "", "What"), rows) if rows else ""
    times = " · ".join(
        f"{what} {moment(at)}"
        for what, at in (("started", attempt.started_at), ("ended", attempt.ended_at))
        if at is not None
    )
    return page(
        name,
        f"<h1>{escape(name)}</h1><p>{escape(exam.name)} · {escape(attempt.status)} {times}</p>"
        f"<p>Review: <strong>{_word(attempt.review)}</strong></p>{found}"
        f'<p><a href="report/">The report</a>, which has all that was recorded.</p><p>{NOTE}</p>',
    )


def _kind(exam: EdxExam) -> str:
    return ", ".join(
        ["practice" if exam.practice else "proctored", *([] if exam.active else ["not active"])]
    )


def _rules(exam: EdxExam) -> str:
    speaking = "all the time" if exam.rules.get("expect_speech") else "when they want to"
    return f"<p>{_kind(exam).capitalize()}; learners speak {speaking}.</p>"


def _word(review: Review | None) -> str:
    return WORDS[review.status] if review else "not yet"


def _seconds(number: int) -> str:
    return f"{number // 60}:{number % 60:02d}"
