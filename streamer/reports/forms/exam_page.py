"""The report of an exam: who needs a look first, and a line for every candidate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from streamer.reports import words
from streamer.reports.exam_report import CandidateLine, ExamCover, ExamProof
from streamer.reports.forms.exam_proof import about_the_models, about_the_record
from streamer.reports.forms.markup import Child, Markup, element, facts, isolated, table
from streamer.reports.forms.page import closing, document


def exam_page(
    cover: ExamCover,
    lines: Sequence[CandidateLine],
    proof: ExamProof,
    register_problems: Sequence[str],
) -> str:
    """One HTML file; what is told of each candidate at length is in files of their own."""
    return document(
        cover.exam.name,
        _cover(cover, lines),
        element("h2", "Candidates, who needs a look first"),
        _candidates(sorted(lines, key=need)),
        about_the_models(proof.judged_by),
        about_the_record(lines, proof, register_problems),
        closing(cover.software, words.moment(cover.made_at), cover.made_by),
    )


def need(line: CandidateLine) -> tuple[int, int, int]:
    """To sort by: open incidents first, the gravest of them; then who is to be looked at again,
    who has other incidents, who has none, and who has been judged, if nothing came after that.
    """
    verdict = line.verdict.verdict if line.verdict else None
    if verdict in ("cleared", "violation") and not line.unjudged:
        return 4, 0, 0
    if line.open_incidents and line.gravest:
        return 0, -line.gravest.severity, -line.open_incidents
    return 1 if verdict else 2 if line.incidents else 3, 0, 0


def _cover(cover: ExamCover, lines: Sequence[CandidateLine]) -> Markup:
    exam, came = cover.exam, sum(one.sessions > 0 for one in lines)
    began = words.moment(exam.began_at) if exam.began_at else ""
    planned = f"not yet; planned for {words.moment(exam.ends_at)}" if exam.ends_at else "not yet"
    ended = words.moment(exam.ended_at) if exam.ended_at else planned
    given = Counter(one.verdict.verdict for one in lines if one.verdict)
    verdicts = [f"{count} {words.VERDICTS[word].lower()}" for word, count in given.items()]
    without = len(lines) - given.total()
    verdicts += [f"{without} without a verdict"] if without else []
    found = sum(one.incidents for one in lines)
    open_ = sum(one.open_incidents for one in lines)
    return element(
        "header",
        element("p", "Exam report", class_="kind"),
        element("h1", isolated(exam.name)),
        facts(
            ("Began", began),
            ("Ended", ended),
            ("Candidates", f"{len(lines)}, of whom {came} were heard"),
            ("Verdicts", ", ".join(verdicts)),
            ("Incidents", f"{found}, of which {open_} are open"),
            ("Becomes an incident", [", ".join(exam.rules)]),
            ("Times", f"Those of day are in {cover.zone}"),
        ),
        class_="cover",
    )


def _candidates(lines: Sequence[CandidateLine]) -> Markup:
    columns = {"Candidate": 25, "Verdict": 20, "Incidents": 30, "Heard": 15, "Speech": 10}
    return table(columns, (_candidate(one) for one in lines))


def _candidate(line: CandidateLine) -> Iterable[Child]:
    number = f" ({line.candidate_reference})" if line.candidate_reference else ""
    yield [element("span", isolated(line.candidate), class_="what"), number.strip()]
    verdict, began = line.verdict, line.began_at
    yield f"{words.VERDICTS[verdict.verdict]}, by {verdict.who}" if verdict else words.NO_VERDICT
    yield _incidents(line)
    heard = words.duration(line.received_s)
    yield f"from {words.time_of_day(began)}, {heard}" if began else "never"
    yield words.duration(line.speech_s)


def _incidents(line: CandidateLine) -> Child:
    worst = line.gravest
    if worst is None:
        return "none"
    since = words.time_of_day(worst.since_at)
    count = words.counted(line.incidents, "incident")
    tag = element("span", worst.state, class_=f"tag {worst.state}")
    return [f"{count}; the gravest: {worst.title}, {since} ", tag]
