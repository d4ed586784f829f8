"""A report as CSV: a line for everything that happened, in order of time.

A spreadsheet takes a cell that begins with a sign like ``=`` for a formula and would run what a
candidate chose as a name: such a text gets an apostrophe before it, which spreadsheets do not show.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from streamer.reports import words
from streamer.reports.exam_report import CandidateLine
from streamer.reports.parts import Span
from streamer.reports.report import Report, Session

BOM = "\N{BYTE ORDER MARK}"  # without it Excel reads UTF-8 as something else
FORMULA = tuple(
    "=+-@\t\r\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}"
    "\N{FULLWIDTH COMMERCIAL AT}"
)
HEAD = (
    "candidate",
    "stream",
    "what",
    "time_of_day",
    "until_time_of_day",
    "media_s",
    "until_media_s",
    "kind",
    "who",
    "evidence",
    "speech_s",
    "state",
    "text",
)
EXAM_HEAD = (
    "candidate",
    "number",
    "verdict",
    "verdict_by",
    "verdict_at",
    "began",
    "sound_s",
    "speech_s",
    "incidents",
    "incidents_open",
    "worst_incident",
    "accommodations",
)

Cell = str | float | datetime | None


def timeline_csv(report: Report) -> bytes:
    """All sessions of a candidate."""
    lines = [line for session in report.sessions for line in _lines(session)]
    lines.sort(key=_began)
    return _csv(HEAD, ([report.candidate, *line] for line in lines))


def _began(line: Sequence[Cell]) -> datetime:
    at = line[2]
    assert isinstance(at, datetime)
    return at


def exam_csv(lines: Iterable[CandidateLine]) -> bytes:
    """A line for each candidate."""
    return _csv(EXAM_HEAD, (_candidate(one) for one in lines))


def _candidate(line: CandidateLine) -> Iterator[Cell]:
    verdict = line.verdict
    yield from (line.candidate, line.candidate_reference)
    yield from (verdict.verdict, verdict.who, verdict.at) if verdict else (None, None, None)
    yield line.began_at
    yield from (round(line.received_s, 2), round(line.speech_s, 2))
    yield from (line.incidents, line.open_incidents, line.worst_kind)
    yield " ".join(line.accommodations)


def _lines(session: Session) -> Iterator[list[Cell]]:
    """Stream, what, when, and the rest of ``HEAD``."""
    for claim in session.claims:
        yield _line(session, "claim", claim, kind=claim.mode, text=claim.question)
    for segment in session.segments:
        yield _line(
            session,
            "state",
            segment,
            who=segment.speaker,
            evidence=segment.evidence,
            state=segment.state,
            text=segment.reason,
        )
    for turn in session.turns:
        yield _line(
            session,
            "turn",
            turn,
            who=turn.speaker,
            evidence=turn.evidence,
            speech_s=turn.speech_s,
            state=turn.state,
            text=turn.reason,
        )
    for one in session.incidents:
        yield _line(
            session,
            "incident",
            one,
            kind=one.kind,
            who=one.voice,
            evidence=one.evidence,
            speech_s=one.speech_s,
            state=one.state,
            text=one.reason if one.came_at is None else f"{one.reason}. {words.late(one.came_at)}",
        )
    for poor in session.sound:
        yield _line(session, "sound", poor, kind=" ".join(poor.problems))
    for gap in session.gaps:
        yield _line(session, "gap", gap, kind=gap.kind, text=gap.detail)
    yield from _acts(session)


def _acts(session: Session) -> Iterator[list[Cell]]:
    """What people wrote and found, which has no place in the sound."""
    written = [("", note) for note in session.notes]
    written += [(one.id, note) for one in session.incidents for note in one.notes]
    for about, note in written:
        yield _act(session, "note", note.at, about, note.who, "", note.text)
    for verdict in session.verdicts:
        yield _act(session, "verdict", verdict.at, "", verdict.who, verdict.verdict, verdict.note)


def _line(
    session: Session,
    what: str,
    span: Span,
    *,
    kind: str = "",
    who: str | None = None,
    evidence: float | None = None,
    speech_s: float | None = None,
    state: str = "",
    text: str = "",
) -> list[Cell]:
    media: list[Cell] = [_rounded(span.since), _rounded(span.until)]
    figures: list[Cell] = [_rounded(evidence), _rounded(speech_s)]
    times: list[Cell] = [span.since_at, span.until_at]
    return [session.stream, what, *times, *media, kind, who, *figures, state, text]


def _act(
    session: Session, what: str, at: datetime, about: str, who: str, state: str, text: str
) -> list[Cell]:
    return [session.stream, what, at, None, None, None, about, who, None, None, state, text]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _csv(head: Iterable[str], lines: Iterable[Iterable[Cell]]) -> bytes:
    return (BOM + csv_text([head, *lines], line_end="\r\n")).encode()  # RFC 4180


def csv_text(lines: Iterable[Iterable[Cell]], *, line_end: str = "\n") -> str:
    """Lines for a spreadsheet, which takes none of their texts for a formula."""
    out = io.StringIO()
    csv.writer(out, lineterminator=line_end).writerows([_cell(c) for c in line] for line in lines)
    return out.getvalue()


def _cell(cell: Cell) -> str | float | None:
    if isinstance(cell, datetime):
        return cell.isoformat(timespec="milliseconds")
    if isinstance(cell, str):
        return harmless(cell)
    return cell


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula, on one line."""
    line = " ".join(text.splitlines())
    begins = (text, line, line.lstrip())
    return f"'{line}" if any(one.startswith(FORMULA) for one in begins) else line
