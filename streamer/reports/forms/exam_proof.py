"""What an exam's report rests on: its models and their errors, and the chains of all streams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streamer.reports import rates, words
from streamer.reports.exam_report import CandidateLine, ExamProof
from streamer.reports.forms.markup import Child, Markup, element, isolated, joined, table
from streamer.reports.forms.proof import (
    CHAIN_COLUMNS,
    CHAINED,
    CHECK,
    COMPARE,
    PUT_IN,
    chain_row,
    meant,
    named,
)
from streamer.reports.forms.session_part import BOUNDS, bounds
from streamer.reports.judging import Judging
from streamer.reports.report import Chain

REGISTER = "the register, of all streams"
BY_HAND = (
    "By hand, the second has the register's head, and in the"
    " third put in a stream with its entries and its head as they stand above."
)


def about_the_models(judged_by: Sequence[Judging]) -> Markup:
    """The models and bounds of all sessions, and what their error rates mean."""
    parts = [_judging(one) for one in judged_by]
    return joined(
        [element("h2", "How far it can be trusted"), parts or element("p", rates.NOT_JUDGED)]
    )


def _judging(one: Judging) -> Markup:
    sessions = words.counted(one.sessions, "session")
    sessions += f" of {words.counted(one.candidates, 'candidate')}"
    heard = f", {sessions}, {words.duration(one.speech_s)} of speech"
    return joined(
        [
            element("p", rates.evidence(one.bounds)),
            meant(one.meaning),
            element("p", f"{BOUNDS}: {bounds(one.bounds)}") if one.bounds else None,
            element("p", named(one.model), heard, class_="soft"),
        ]
    )


def about_the_record(
    lines: Iterable[CandidateLine], proof: ExamProof, problems: Sequence[str]
) -> Markup:
    """Heads of the chains, what a check found, and how anybody else can check."""
    rows = [_row(line, stream, chain) for line in lines for stream, chain in line.chains]
    whole = [REGISTER, *list(chain_row("", proof.register))[1:]]
    return joined(
        [
            element("h2", "The record"),
            element("p", CHAINED),
            [element("p", element("strong", "Not whole: ", problem)) for problem in problems],
            table(CHAIN_COLUMNS, [*rows, whole]),
            element("p", CHECK),
            element("pre", "\n".join(proof.verify), class_="mono"),
            element("p", f"{PUT_IN} {BY_HAND} {COMPARE}", class_="soft"),
        ]
    )


def _row(line: CandidateLine, stream: str, chain: Chain | None) -> Sequence[Child]:
    """A stream with whose it was."""
    first, *rest = chain_row(stream, chain)
    return [[first, " ", isolated(line.candidate)], *rest]
