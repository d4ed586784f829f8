"""`GET /v1/records/STREAM/report.FORM` and the same of an exam: reports of what is recorded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import cast
from urllib.parse import quote

from websockets.http11 import Response

from streamer.exams.errors import ExamError, UnknownCandidate, UnknownExam
from streamer.records.errors import RecordError, UnknownStream
from streamer.reports.exam_report import ExamReading
from streamer.reports.figures import without_figures
from streamer.reports.forms.files import Form
from streamer.reports.forms.page import policy
from streamer.reports.forms.pdf import NoPdf, PdfFailed
from streamer.reports.library import Asked, Library, Subject
from streamer.reports.report import Report
from streamer.reports.signing import signed
from streamer.reports.zones import UnknownZone, local_zone, zone_named
from streamer.server.context import Context
from streamer.server.http.making import Making, NotWritten
from streamer.server.http.request import Request
from streamer.server.http.responses import FileResponse
from streamer.server.http.routes import Route
from streamer.store.errors import StoreError
from streamer.tasks import beside
from streamer.wire.errors import WireError
from streamer.wire.requests import Role

READERS: frozenset[Role] = frozenset({"monitor", "admin"})
OF_STREAM, OF_EXAM = "/v1/records/{stream}/report.{form}", "/v1/exams/{exam}/report.{form}"
TYPES = {
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "zip": "application/zip",
}
PLACES = 8  # reports that are asked for or sent at once; they are made one after the other
CODES = {
    UnknownStream: "unknown-stream",
    UnknownExam: "unknown-exam",
    UnknownCandidate: "unknown-candidate",
    NoPdf: "no-pdf",
    PdfFailed: "engine-failed",
    NotWritten: "record-failed",
    UnknownZone: "bad-parameter",
    RecordError: "record-failed",
    ExamError: "exam-failed",
    StoreError: "store-failed",
}


class Reports:
    """Their routes. One report is made at a time, in a thread of its own."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._thread = ThreadPoolExecutor(1, "reports")
        self._places = 0

    def routes(self) -> Iterator[Route]:
        """For whoever may look at streams."""
        yield Route("GET", OF_STREAM, self._answer, READERS)
        yield Route("GET", OF_EXAM, self._answer, READERS)

    async def _answer(self, request: Request) -> Response:
        form, query = request.fields["form"], request.target.query
        if form not in TYPES:
            raise WireError("not-found", f"a report is one of {', '.join(TYPES)}")
        subject = Subject(
            request.fields.get("stream"), request.fields.get("exam"), query.get("candidate")
        )
        return await self.answer(request, subject, form)

    async def answer(self, request: Request, subject: Subject, form: str) -> Response:
        """A report for whoever asks, who may. Raises :class:`WireError`, ``ConnectionError``."""
        if self._context.book is None:
            raise WireError("no-records", "this server keeps no records (records = false)")
        request.held.enter_context(self._place())
        with explained():
            making = self._making(request, subject, cast(Form, form))
            await self._make(making, request)
        return _as_file(making, form)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of those who wait for a report or are sent theirs: there are so many files."""
        if self._places >= PLACES:
            raise WireError("overloaded", "as many reports as the server makes are asked for")
        self._places += 1
        try:
            yield
        finally:
            self._places -= 1

    def _making(self, request: Request, subject: Subject, form: Form) -> Making:
        """What is to be made. Who asks by HEAD takes nothing, and nothing is noted."""
        context, zone = self._context, request.target.query.get("zone")
        book, config = context.book, context.config
        assert book is not None
        named = zone_named(zone) if zone else local_zone()
        asked = Asked(request.caller.grant.who, time.time(), named)
        figures, taken = context.tells_figures(request.caller), request.method != "HEAD"

        def read(check: Callable[[], None]) -> Report | ExamReading:
            def told(report: Report) -> Report:
                check()
                return report if figures else without_figures(report)

            library = Library(book, context.exams, context.enrolled.names, told)
            if taken:
                library.note_export(subject, asked, form)
            return library.report(subject, asked)

        sign = partial(signed, secret=book.journal.secret)
        return Making(config.data_dir, form, read, sign)

    async def _make(self, making: Making, request: Request) -> None:
        """Until it is made; its files are let go with the request, or where it comes to nothing."""
        future = self._thread.submit(making.run)

        async def made() -> None:
            await asyncio.wrap_future(future)

        try:
            await beside(made(), request.gone())
        except BaseException:
            making.stop()
            future.add_done_callback(lambda _: making.close())
            raise
        request.held.callback(making.close)


@contextmanager
def explained() -> Iterator[None]:
    """What is told of a report that cannot be had."""
    try:
        yield
    except tuple(CODES) as error:
        code = next(code for kind, code in CODES.items() if isinstance(error, kind))
        raise WireError(code, str(error)) from error


def _as_file(making: Making, form: str) -> Response:
    """A page is shown and can be kept, anything else is kept (RFC 6266)."""
    shown = form == "html"
    response = FileResponse(making.file, TYPES[form], policy=f"{policy()}; frame-ancestors 'none'")
    plain = making.name.encode("ascii", "replace").decode().replace("?", "-")
    response.headers["Content-Disposition"] = (
        f'{"inline" if shown else "attachment"}; filename="{plain}";'
        f" filename*=UTF-8''{quote(making.name)}"
    )
    return response
