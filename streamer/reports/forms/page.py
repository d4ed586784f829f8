"""A report as one HTML file: no script, nothing from elsewhere, made to be printed."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from functools import cache
from pathlib import Path

from streamer.reports import words
from streamer.reports.forms.markup import Child, Markup, element, facts, isolated, joined
from streamer.reports.forms.proof import about_the_model, about_the_people, about_the_record
from streamer.reports.forms.session_part import session_part
from streamer.reports.report import Exam, Report, Verdict

INCIDENT_STATES = {
    "open": "open",
    "acknowledged": "acknowledged",
    "noted": "only noted because of an accommodation",
}
REMINDER = (
    "A voice is corroboration, not authentication. This report says what a program measured;"
    " whether there was a violation is for a person to say, who has heard the candidate. No"
    " emotion was inferred."
)

READ_AFTER = (
    "The record was read after that time, while the report was made: of a long one it may tell what"
    " happened a little later."
)


@cache
def style() -> str:
    """The style sheet, which stands in every page."""
    return (Path(__file__).parent / "style.css").read_text(encoding="utf-8")


@cache
def policy() -> str:
    """The page's own content security policy: its style, and nothing else at all."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def page(report: Report) -> str:
    """The report of a candidate."""
    title = f"{report.candidate}: {report.exam.name if report.exam else 'session report'}"
    numbered = enumerate(report.sessions)
    return document(
        title,
        _cover(report),
        [session_part(one, number, len(report.sessions)) for number, one in numbered],
        about_the_people(report),
        about_the_model(report),
        about_the_record(report),
        closing(report.software, words.moment(report.made_at), report.made_by),
    )


def document(title: str, *children: Child) -> str:
    """A whole HTML file."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=policy()),
        element("title", title),
        Markup(f"<style>{style()}</style>"),
    )
    return f'<!doctype html><html lang="en">{head}{element("body", *children)}</html>\n'


def closing(software: str, made_at: str, made_by: str) -> Markup:
    """What stands at the end of every report."""
    return element(
        "footer",
        element("p", REMINDER),
        element(
            "p",
            f"Asked for {made_at} by {made_by}, made with {software}. {READ_AFTER}",
            class_="soft",
        ),
    )


def exam_line(exam: Exam | None) -> Markup:
    """Which exam it was, if it was one."""
    return element("p", "Exam: ", isolated(exam.name), class_="kind") if exam else Markup()


def verdict_box(verdict: Verdict | None) -> Markup:
    """The verdict of a person, or that there is none."""
    if verdict is None:
        said = "Nobody has given a verdict on this candidate. The program gives none."
        return element("div", element("strong", words.NO_VERDICT), said, class_="verdict")
    return element(
        "div",
        element("strong", words.VERDICTS[verdict.verdict]),
        element("p", f"Given by {verdict.who} at {words.moment(verdict.at)}."),
        element("p", "Reason: ", isolated(verdict.note)) if verdict.note else None,
        class_=f"verdict {verdict.verdict}",
    )


def _cover(report: Report) -> Markup:
    return element(
        "header",
        element("p", "Voice report", class_="kind"),
        element("h1", isolated(report.candidate)),
        exam_line(report.exam),
        verdict_box(report.verdict),
        _earlier(report),
        element("h3", "At a glance"),
        facts(
            ("When", _when(report)),
            ("How long", _how_long(report)),
            ("Incidents", _incidents(report)),
            ("Record", _record(report)),
            ("Accommodations", _accommodations(report)),
            ("Candidate's number", report.candidate_reference),
            ("Times", f"Those of day are in {report.zone}; others count from a session's start"),
        ),
        class_="cover",
    )


def _record(report: Report) -> Child:
    """Whether something was removed from it or changed; nothing where all is whole."""
    changed = [problem for one in report.sessions if one.chain for problem in one.chain.problems]
    if not (changed or report.record_problems):
        return ""
    return element("strong", "Not whole: see “The record”")


def _earlier(report: Report) -> Markup:
    """Verdicts that a later one replaced stay told."""
    earlier = report.verdicts[:-1]
    if not earlier:
        return Markup()
    said = [
        element(
            "li",
            f"{words.VERDICTS[one.verdict]}, by {one.who} at {words.moment(one.at)}",
            joined([": ", isolated(one.note)]) if one.note else None,
        )
        for one in earlier
    ]
    return joined([element("h3", "Verdicts before it"), element("ul", said, class_="lines")])


def _when(report: Report) -> str:
    if report.began_at is None:
        return "never: no stream of this candidate is in the record"
    ends = [session.ended_at for session in report.sessions]
    last = max((end for end in ends if end is not None), default=None)
    if None in ends or last is None:
        return f"from {words.moment(report.began_at)}; without an end so far"
    same_day = last.date() == report.began_at.date()
    until = words.time_of_day(last) if same_day else words.moment(last)
    return f"{words.moment(report.began_at)} to {until}"


def _how_long(report: Report) -> str:
    received = sum(session.received_s for session in report.sessions)
    times = words.counted(len(report.sessions), "session")
    speech = words.duration(report.speech_s)
    return f"{words.duration(received)} of sound in {times}, {speech} of speech"


def _incidents(report: Report) -> str:
    found = report.incidents
    if not found:
        return "none"
    states = Counter(one.state for one in found)
    kinds = {one.kind: one.title for one in sorted(found, key=lambda one: -one.severity)}
    named = ", ".join(
        f"{sum(o.kind == kind for o in found)} {words.TIMES} {title.lower()}"
        for kind, title in kinds.items()
    )
    parts = [f"{count} {INCIDENT_STATES[state]}" for state, count in sorted(states.items())]
    return f"{named} ({', '.join(parts)})"


def _accommodations(report: Report) -> str:
    named = ", ".join(report.accommodations)
    return f"{named}: flags are notes for this candidate" if named else ""
