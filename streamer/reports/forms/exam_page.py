"""The report of an exam: who needs a look first, and a line for every candidate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from streamer.reports import words
from streamer.reports.forms.markup import Child, Markup, element, facts, isolated, joined, table
from streamer.reports.forms.page import closing, document
from streamer.reports.report import ExamReport, Incident, Report


def exam_page(report: ExamReport) -> str:
    """One HTML file; what is told of each candidate at length is in files of their own."""
    return document(
        report.exam.name,
        _cover(report),
        element("h2", "Candidates, who needs a look first"),
        _candidates(sorted(report.candidates, key=need)),
        _register(report.register_problems),
        closing(report.software, words.moment(report.made_at), report.made_by),
    )


def need(report: Report) -> tuple[int, int, int]:
    """To sort by: open incidents first, the gravest of them; then who is to be looked at again,
    who has other incidents, who has none, and who has been judged.
    """
    verdict = report.verdict.verdict if report.verdict else None
    open_ = [one.severity for one in report.incidents if one.state == "open"]
    if verdict in ("cleared", "violation"):
        return 4, 0, 0
    if open_:
        return 0, -max(open_), -len(open_)
    return 1 if verdict else 2 if report.incidents else 3, 0, 0


def _cover(report: ExamReport) -> Markup:
    exam, came = report.exam, [one for one in report.candidates if one.sessions]
    began = words.moment(exam.began_at) if exam.began_at else ""
    planned = f"not yet; planned for {words.moment(exam.ends_at)}" if exam.ends_at else "not yet"
    ended = words.moment(exam.ended_at) if exam.ended_at else planned
    given = Counter(one.verdict.verdict for one in report.candidates if one.verdict)
    verdicts = [f"{count} {words.VERDICTS[word].lower()}" for word, count in given.items()]
    without = len(report.candidates) - given.total()
    verdicts += [f"{without} without a verdict"] if without else []
    found = [one for candidate in report.candidates for one in candidate.incidents]
    open_ = sum(one.state == "open" for one in found)
    return element(
        "header",
        element("p", "Exam report", class_="kind"),
        element("h1", isolated(exam.name)),
        facts(
            ("Began", began),
            ("Ended", ended),
            ("Candidates", f"{len(report.candidates)}, of whom {len(came)} were heard"),
            ("Verdicts", ", ".join(verdicts)),
            ("Incidents", f"{len(found)}, of which {open_} are open"),
            ("Becomes an incident", [", ".join(exam.rules)]),
            ("Times", f"Those of day are in {report.zone}"),
        ),
        class_="cover",
    )


def _candidates(reports: Sequence[Report]) -> Markup:
    columns = {"Candidate": 25, "Verdict": 20, "Incidents": 30, "Heard": 15, "Speech": 10}
    return table(columns, (_candidate(one) for one in reports))


def _candidate(report: Report) -> Iterable[Child]:
    number = f" ({report.candidate_reference})" if report.candidate_reference else ""
    yield [element("span", isolated(report.candidate), class_="what"), number.strip()]
    verdict = report.verdict
    yield f"{words.VERDICTS[verdict.verdict]}, by {verdict.who}" if verdict else words.NO_VERDICT
    yield _incidents(report.incidents)
    began = report.began_at
    received_s = sum(session.received_s for session in report.sessions)
    yield f"from {words.time_of_day(began)}, {words.duration(received_s)}" if began else "never"
    yield words.duration(report.speech_s)


def _incidents(found: Sequence[Incident]) -> Child:
    if not found:
        return "none"
    worst = max(found, key=lambda one: (one.state == "open", one.severity))
    since = words.time_of_day(worst.since_at)
    count = words.counted(len(found), "incident")
    tag = element("span", worst.state, class_=f"tag {worst.state}")
    return [f"{count}; the gravest: {worst.title}, {since} ", tag]


def _register(problems: Sequence[str]) -> Markup:
    if not problems:
        return Markup()
    said = [element("li", element("strong", problem)) for problem in problems]
    return joined([element("h2", "The record"), element("ul", said, class_="lines")])
