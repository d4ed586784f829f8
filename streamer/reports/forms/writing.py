"""A report written in a form, piece by piece: of an exam one candidate is in memory at a time."""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import msgspec

from streamer.reports.exam_report import (
    EXAM_SUMMARY,
    CandidateLine,
    ExamReading,
    ExamSummary,
    SignedFiles,
    line_of,
)
from streamer.reports.forms.carrying import with_data, with_signature_of_file
from streamer.reports.forms.exam_json import ExamJson
from streamer.reports.forms.exam_page import exam_page
from streamer.reports.forms.files import Form, Names, json, stem
from streamer.reports.forms.page import page
from streamer.reports.forms.pdf import NoPdf, PdfFailed
from streamer.reports.forms.tables import exam_csv, timeline_csv
from streamer.reports.report import Report
from streamer.reports.signing import Sign, with_signature
from streamer.reports.spool import Out, Spool

Pdf = Callable[[str], bytes]  # a page as PDF
NO_PDF = "no-pdf.txt"
SIGNED_FILES = "signed.json"


def write(
    report: Report | ExamReading,
    form: Form,
    out: Out,
    pdf: Pdf,
    spool: Callable[[], Spool],
    sign: Sign,
) -> None:
    """Write a report; ``spool`` gives a temporary file. ``out`` may be of a kind that only goes on.

    JSON is signed, and so are all files of a ZIP; pages and PDFs carry what they were made from.

    Raises what ``pdf`` raises, and what the record does; in a ZIP pages that cannot become PDFs are
    named.
    """
    match report, form:
        case Report(), "zip":
            with Archive(out, report.made_at, pdf, sign) as archive:
                one = with_signature(report, sign)
                archive.add_report(stem(one), one, json(one))
        case Report(), "json":
            out.write(json(with_signature(report, sign)))
        case Report(), "csv":
            out.write(timeline_csv(report))
        case Report(), _:
            out.write(_as_page(_candidate_page(with_signature(report, sign)), form, pdf, sign))
        case ExamReading(), "zip":
            made_at = report.cover.made_at
            with Archive(out, made_at, pdf, sign) as archive, spool() as whole:
                _archive_exam(report, archive, whole, sign)
        case ExamReading(), "json":
            told = ExamJson(report.cover, out, sign)
            for one in report.candidates():
                told.add(with_signature(one, sign))
            told.end(report.proof(), report.register_problems())
        case ExamReading(), _:
            lines = [line_of(one) for one in report.candidates()]
            if form == "csv":
                out.write(exam_csv(lines))
            else:
                out.write(_as_page(_exam_page(report, lines, sign), form, pdf, sign))


def _as_page(html: str, form: Form, pdf: Pdf, sign: Sign) -> bytes:
    return with_signature_of_file(pdf(html) if form == "pdf" else html.encode(), sign)


def _archive_exam(report: ExamReading, archive: Archive, whole: Spool, sign: Sign) -> None:
    """Everybody's files as they are made, then the exam's; ``whole`` holds its JSON meanwhile."""
    names, told, lines = Names(), ExamJson(report.cover, whole, sign), list[CandidateLine]()
    for candidate in report.candidates():
        one = with_signature(candidate, sign)
        archive.add_report(names.of(one), one, told.add(one))
        lines.append(line_of(one))
    told.end(report.proof(), report.register_problems())
    name = stem(report)
    archive.add_pieces(f"{name}.json", whole.pieces())
    archive.add(f"{name}.csv", exam_csv(lines))
    archive.add_page(name, _exam_page(report, lines, sign))


def _candidate_page(report: Report) -> str:
    """The page of a candidate whose report is signed."""
    return with_data(page(report), json(report))


def _exam_page(report: ExamReading, lines: Sequence[CandidateLine], sign: Sign) -> str:
    summary = ExamSummary(
        **msgspec.structs.asdict(report.cover) | {"format": EXAM_SUMMARY},
        lines=tuple(lines),
        proof=report.proof(),
        register_problems=report.register_problems(),
    )
    html = exam_page(report.cover, lines, summary.proof, summary.register_problems)
    return with_data(html, json(with_signature(summary, sign)))


class Archive:
    """A ZIP with the files of reports, for their owner only. A context manager.

    At its end it says which pages are no PDFs, and why, and signs what all files are.
    """

    def __init__(self, out: Out, made_at: datetime, pdf: Pdf, sign: Sign) -> None:
        self._zip = zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED)
        self._made = max(made_at.timetuple()[:6], (1980, 1, 1, 0, 0, 0))  # what a ZIP can say
        self._pdf, self._none, self._sign = pdf, "", sign
        self._lacking: list[str] = []
        self._files: dict[str, str] = {}  # SHA-256 by name

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        if failed is not None:
            with contextlib.suppress(OSError):  # what is there is thrown away
                self._zip.close()
            return
        if lacking := [self._none] if self._none else self._lacking:
            self.add(NO_PDF, "".join(f"{line}\n" for line in lacking).encode())
        files = with_signature(SignedFiles(files=self._files), self._sign)
        self._zip.writestr(self._info(SIGNED_FILES), json(files))
        self._zip.close()

    def add_report(self, name: str, report: Report, content: bytes) -> None:
        """A candidate in all forms; ``content`` is the JSON."""
        self.add(f"{name}.json", content)
        self.add(f"{name}.csv", timeline_csv(report))
        self.add_page(name, _candidate_page(report))

    def add_page(self, name: str, html: str) -> None:
        """A page and, where that can be, its PDF."""
        self.add(f"{name}.html", _as_page(html, "html", self._pdf, self._sign))
        if self._none:
            return
        try:
            self.add(f"{name}.pdf", _as_page(html, "pdf", self._pdf, self._sign))
        except NoPdf as error:
            self._none = str(error)
        except PdfFailed as error:
            self._lacking.append(f"{name}.pdf: {error}")

    def add(self, name: str, content: bytes) -> None:
        """A file."""
        self._zip.writestr(self._info(name), content)
        self._files[name] = hashlib.sha256(content).hexdigest()

    def add_pieces(self, name: str, pieces: Iterator[bytes]) -> None:
        """A file of any size."""
        digest = hashlib.sha256()
        with self._zip.open(self._info(name), "w", force_zip64=True) as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
        self._files[name] = digest.hexdigest()

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, self._made)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        return info
