"""The pages of LTI: a learner's way to their assessment, and what teachers see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from streamer.exams.pages import POLICY, moment, page, table
from streamer.lti.book import Attempt, LtiExam
from streamer.lti.platform import Platform, is_safe
from streamer.lti.tool import RENEW_S, Sitting

LOOK_S = 3  # after which a page looks again whether the learner is heard


def policy(platform: Platform | None) -> str:
    """What a page may do: with a platform, send its form there, and where that sends it on."""
    if platform is None:
        return POLICY
    addresses = [f"https://{name}" for name in platform.names]
    addresses += [one for name in platform.names if is_safe(one := f"http://{name}")]
    return f"{POLICY}; form-action {' '.join(addresses)}"


def sitting_page(sitting: Sitting) -> str:
    """What a learner has to do before the assessment, and the button that begins it."""
    title = sitting.name or "Your exam"
    if sitting.address is None:
        return over_page("")
    link = f'<a href="{escape(sitting.address)}" target="_blank" rel="noopener">this page</a>'
    steps = (
        "<ol>"
        f"<li>Open {link}. It is yours alone, and for this exam only.</li>"
        "<li>Read what you are asked to agree to. If your voice is not known yet, speak for half"
        " a minute.</li>"
        "<li>Keep that page open until you have submitted the exam. It hears that you are"
        " speaking.</li>"
        "<li>When it says that you are heard, come back here and begin.</li>"
        "</ol>"
    )
    if sitting.begin is None:
        waiting = '<p role="status">You are not heard yet.</p>'
        return page(title, f"<h1>{escape(title)}</h1>{steps}{waiting}", _again(LOOK_S))
    form = (
        '<p role="status">You are heard.</p>'
        f'<form method="post" action="{escape(sitting.begin.url)}">'
        f'<input type="hidden" name="JWT" value="{escape(sitting.begin.token)}">'
        "<button>Begin the exam</button></form>"
    )
    return page(title, f"<h1>{escape(title)}</h1>{steps}{form}", _again(RENEW_S))


def over_page(error: str) -> str:
    """The attempt is over; ``error`` is what the platform says of it."""
    told = f"<p>Your exam's platform says: {escape(error)}</p>" if error else ""
    return page(
        "Over",
        f"<h1>The exam is over</h1>{told}<p>You are not heard any more. You can close this page,"
        " and the one that heard you.</p>",
    )


def refused_page(why: str) -> str:
    """Somebody came who is not let in."""
    return page("Not let in", f"<h1>You cannot come in like this</h1><p>{escape(why)}</p>")


def exams_page(exams: Iterable[LtiExam]) -> str:
    """The exams of a course, each with a link to its attempts."""
    rows = [
        (f'<a href="exam/{escape(exam.id)}/">{escape(exam.name or "Exam")}</a>', _rules(exam))
        for exam in exams
    ]
    found = table(("Exam", "Learners speak"), rows)
    return page("Exams", f"<h1>Exams</h1>{found if rows else '<p>Nobody has sat one yet.</p>'}")


def exam_page(exam: LtiExam, attempts: Sequence[tuple[Attempt, str]]) -> str:
    """The attempts of an exam, each with the way to its report."""
    rows = [
        (
            escape(name),
            moment(one.created_at),
            "no" if one.heard_at is None else moment(one.heard_at),
            "" if one.ended_at is None else moment(one.ended_at),
            str(len(one.flagged)),
            f'<a href="attempt/{escape(one.id)}/report/">report</a>',
        )
        for one, name in attempts
    ]
    heads = ("Learner", "Since", "Heard", "Ended", "Flags", "")
    found = table(heads, rows) if rows else "<p>Nobody has sat this exam yet.</p>"
    note = (
        "<p>A flag says that a person should look, and never that a rule was broken: that is for"
        " people to decide, who have heard the learner first.</p>"
    )
    name = exam.name or "Exam"
    return page(name, f"<h1>{escape(name)}</h1>{found}{note}")


def _again(seconds: int) -> str:
    return f'<meta http-equiv="refresh" content="{seconds}">'


def _rules(exam: LtiExam) -> str:
    return "all the time" if exam.speaking else "when they want to"
