"""What the files of a report are called, and what is in them; all of them in one ZIP."""

from __future__ import annotations

import io
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from streamer.reports import words
from streamer.reports.forms.exam_page import exam_page
from streamer.reports.forms.page import page
from streamer.reports.forms.tables import exam_csv, timeline_csv
from streamer.reports.report import ExamReport, Report

Form = Literal["html", "pdf", "json", "csv", "zip"]
PART_BYTES = 60  # of a name in a file's name: a file's name has at most 255
NO_PDF = "no-pdf.txt"


def stem(report: Report | ExamReport) -> str:
    """A file's name without its ending: exam, candidate and day."""
    if isinstance(report, ExamReport):
        day = report.exam.began_at or report.made_at
        return "_".join(["voxwatch", part(report.exam.name), words.day(day)])
    exam = [part(report.exam.name)] if report.exam else []
    day = report.began_at or report.made_at
    return "_".join(["voxwatch", *exam, part(report.candidate), words.day(day)])


def part(name: str) -> str:
    """A name as part of a file's name: letters and digits of any script, the rest is a hyphen."""
    kept = "".join(c if c.isalnum() or unicodedata.category(c) == "Mn" else " " for c in name)
    shown = "-".join(kept.split()) or "unnamed"
    return shown.encode()[:PART_BYTES].decode(errors="ignore")


def html(report: Report | ExamReport) -> str:
    """The page of a report."""
    return exam_page(report) if isinstance(report, ExamReport) else page(report)


def json(report: Report | ExamReport) -> bytes:
    """All of a report, as data."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1)


def csv(report: Report | ExamReport) -> bytes:
    """A candidate's timeline, or the candidates of an exam."""
    return exam_csv(report) if isinstance(report, ExamReport) else timeline_csv(report)


def pages(report: Report | ExamReport) -> dict[str, str]:
    """All pages of a report by the names that their files have in the ZIP, without an ending."""
    if isinstance(report, Report):
        return {stem(report): page(report)}
    found = {stem(report): exam_page(report)}
    return found | {name: page(one) for name, one in _named(report.candidates)}


def archive(report: Report | ExamReport, pdfs: Mapping[str, bytes], lacking: str = "") -> bytes:
    """Everything in one ZIP. ``pdfs`` are those of :func:`pages`; ``lacking`` says why not."""
    out = io.BytesIO()
    made = report.made_at.timetuple()[:6]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in _contents(report, pdfs, lacking):
            info = zipfile.ZipInfo(name, max(made, (1980, 1, 1, 0, 0, 0)))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o600 << 16
            file.writestr(info, content)
    return out.getvalue()


def _contents(
    report: Report | ExamReport, pdfs: Mapping[str, bytes], lacking: str
) -> Iterator[tuple[str, bytes]]:
    told: list[tuple[str, Report | ExamReport]] = [(stem(report), report)]
    if isinstance(report, ExamReport):
        told += _named(report.candidates)
    for name, one in told:
        yield f"{name}.html", html(one).encode()
        yield f"{name}.json", json(one)
        yield f"{name}.csv", csv(one)
    for name, pdf in pdfs.items():
        yield f"{name}.pdf", pdf
    if lacking:
        yield NO_PDF, f"{lacking}\n".encode()


def _named(reports: Iterable[Report]) -> Iterator[tuple[str, Report]]:
    """Names within a ZIP; two candidates of one name are told apart by a number."""
    taken: set[str] = set()
    for report in reports:
        name, number = f"candidates/{stem(report)}", 1
        while name.casefold() in taken:
            number += 1
            name = f"candidates/{stem(report)}-{number}"
        taken.add(name.casefold())
        yield name, report
