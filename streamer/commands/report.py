"""`voxwatch report`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from streamer.commands.opened import opened_records
from streamer.commands.options import ConfigOption, DataOption, configured
from streamer.commands.private_file import private_file

if TYPE_CHECKING:
    from streamer.config import Config
    from streamer.reports.exam_report import ExamReading
    from streamer.reports.forms.files import Form
    from streamer.reports.library import Asked, Library
    from streamer.reports.report import Report
    from streamer.reports.signing import Sign


@dataclass(frozen=True, kw_only=True)
class ReportCommand:
    """Write the report of a recorded stream, of a candidate or of a whole exam.

    The ending of the file says what it becomes: html, pdf, json, csv, or zip, which has all of
    them; without a file it is a ZIP that is named after candidate and day. A PDF needs the extra
    `reports` (pip install 'voxwatch[reports]'). Whoever makes a report is noted in the record.

    \b
    Examples:
      voxwatch report 4f2a9c01
      voxwatch report --exam 7c1e44b0 --candidate A-017 --output a-017.pdf
      voxwatch report --exam 7c1e44b0 --zone Europe/Berlin --output biology.zip
    """

    stream: Annotated[
        str | None,
        typer.Argument(metavar="[STREAM]", help="As `records list` says.", show_default=False),
    ] = None
    exam: Annotated[str | None, typer.Option(metavar="ID", help="An exam, all candidates.")] = None
    candidate: Annotated[
        str | None, typer.Option(metavar="WHO", help="Of the exam only this one.")
    ] = None
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Where it is written.")
    ] = None
    zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Of times of day [this machine's].")
    ] = None
    config: ConfigOption = None
    data_dir: DataOption = None

    def run(self) -> None:
        """Make it, a candidate at a time, and say where it is."""
        from functools import partial

        from streamer.reports.forms.files import stem
        from streamer.reports.signing import signed

        self._check()
        form, config = self._form(), configured(self)
        with opened_library(config) as library:
            report = self._report(library, form)
            path = self.output or Path(f"{stem(report)}.{form}")
            sign = partial(signed, secret=library.book.journal.secret)
            _write(report, form, path, config.data_dir, sign)
        typer.echo(f"{path}: {_told(report)}")

    def _check(self) -> None:
        if (self.stream is None) == (self.exam is None):
            raise typer.BadParameter("name a stream, or an exam by --exam")
        if self.candidate is not None and self.exam is None:
            raise typer.BadParameter("--candidate is of an exam: name it by --exam")

    def _form(self) -> Form:
        from streamer.reports.forms.files import Form

        if self.output is None:
            return "zip"
        forms: tuple[Form, ...] = get_args(Form)
        for form in forms:
            if self.output.suffix.lower() == f".{form}":
                return form
        raise typer.BadParameter(f"--output ends in one of {', '.join(f'.{f}' for f in forms)}")

    def _report(self, library: Library, form: Form) -> Report | ExamReading:
        from streamer.reports.forms.pdf import check_available
        from streamer.reports.library import Subject

        if form == "pdf":
            check_available()  # before it is noted that somebody took a report
        asked = self._asked()
        subject = Subject(self.stream, self.exam, self.candidate)
        library.note_export(subject, asked, form)
        return library.report(subject, asked)

    def _asked(self) -> Asked:
        import time

        from streamer.reports.library import Asked
        from streamer.reports.zones import local_zone, zone_named
        from streamer.store.audit import local_user

        zone = zone_named(self.zone) if self.zone else local_zone()
        return Asked(local_user(), time.time(), zone)


@contextmanager
def opened_library(config: Config) -> Iterator[Library]:
    """The record and the exams of this configuration. A server may have them open, too."""
    from streamer.reports.library import Library

    with opened_records(config) as (store, exams, book):

        def names() -> dict[str, str]:
            return {one.reference: one.name for one in store.profiles(store.now())}

        yield Library(book, exams, names)


def _write(report: Report | ExamReading, form: Form, path: Path, folder: Path, sign: Sign) -> None:
    """Make the file. Raises :class:`~streamer.reports.forms.pdf.NoPdf` for a PDF."""
    from streamer.reports.forms.pdf import NoPdf, Printer
    from streamer.reports.forms.writing import write
    from streamer.reports.spool import Spool

    with Printer() as printer, private_file(path) as file:

        def pdf(page: str) -> bytes:
            try:
                return printer(page)
            except NoPdf as error:  # which a ZIP goes on without
                typer.echo(error, err=True)
                raise

        write(report, form, file, pdf, lambda: Spool(folder), sign)


def _told(report: Report | ExamReading) -> str:
    """What is in the file, in a line."""
    from streamer.reports import words
    from streamer.reports.exam_report import ExamReading

    if isinstance(report, ExamReading):
        return words.counted(report.made, "candidate")
    incidents = words.counted(len(report.incidents), "incident")
    return f"{words.counted(len(report.sessions), 'session')}, {incidents}"
