"""One report as it is made for a client: in a thread, into a temporary file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from engine.errors import VoxwatchError
from streamer.reports.exam_report import ExamReading
from streamer.reports.forms.files import Form, stem
from streamer.reports.forms.pdf import PdfFailed, Printer, check_available
from streamer.reports.forms.writing import write
from streamer.reports.report import Report
from streamer.reports.signing import Sign
from streamer.reports.spool import Spool

PDFS_S = 200.0  # for the PDFs of a ZIP: browsers wait five minutes for an answer, and less
NO_TIME = "there was no time for it: take this candidate's own report, or use `voxwatch report`"
Read = Callable[[Callable[[], None]], Report | ExamReading]


class Stopped(Exception):
    """Nobody waits for it any more."""


class NotWritten(VoxwatchError):
    """There is no room for the report."""


class Making:
    """A report: ``file`` has it once :meth:`run` is over, and ``name`` is what to call that.

    ``read`` reads it, by a function to call between two candidates.
    """

    file: Spool
    name: str

    def __init__(self, folder: Path, form: Form, read: Read, sign: Sign) -> None:
        self._folder, self._form, self._read, self._sign = folder, form, read, sign
        self._stopped = threading.Event()
        self._printer, self._began = Printer(), time.monotonic()
        self._files = ExitStack()

    def run(self) -> None:
        """Make it. It blocks. Raises :class:`NotWritten`, and what the record and a PDF raise."""
        try:
            with self._printer:
                self._make()
        except OSError as error:
            why = f"{self._folder}: {error.strerror or error}"
            raise NotWritten(f"the report needs room in the data folder, {why}") from error

    def _make(self) -> None:
        if self._form == "pdf":
            check_available()  # before it is noted that somebody took a report
        self._began = time.monotonic()
        report = self._read(self._check)
        self.name = f"{stem(report)}.{self._form}"
        self.file = self._spool()
        write(report, self._form, self.file, self._pdf, self._spool, self._sign)
        self.file.end()
        self._check()

    def stop(self) -> None:
        """Have it end soon, from another thread."""
        self._stopped.set()
        self._printer.stop()

    def close(self) -> None:
        """Let its files go, once it is over."""
        self._files.close()

    def _spool(self) -> Spool:
        return self._files.enter_context(Spool(self._folder))

    def _pdf(self, page: str) -> bytes:
        self._check()
        if self._form == "zip" and time.monotonic() - self._began > PDFS_S:
            raise PdfFailed(NO_TIME)
        return self._printer(page)

    def _check(self) -> None:
        if self._stopped.is_set():
            raise Stopped
