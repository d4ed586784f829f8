"""`GET /v1/records/STREAM/report.FORM` and the same of an exam: reports of what is recorded."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import msgspec
from websockets.http11 import Response

from streamer.exams.errors import ExamError, UnknownCandidate, UnknownExam
from streamer.records.errors import RecordError, UnknownStream
from streamer.reports.figures import without_figures
from streamer.reports.forms import files
from streamer.reports.forms.page import policy
from streamer.reports.forms.pdf import NoPdf, check_available
from streamer.reports.library import Asked, Library, Subject
from streamer.reports.report import ExamReport, Report
from streamer.reports.zones import UnknownZone, local_zone, zone_named
from streamer.server.context import Context
from streamer.server.http.request import Request
from streamer.server.http.responses import respond
from streamer.server.http.routes import Route
from streamer.store.errors import StoreError
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
WAITING = 8  # reports asked for at once; they are made one after the other
CODE = Path(__file__).parents[3]  # in which this package lies
PDF_S = 300.0  # for all PDFs of a report
CODES = {
    UnknownStream: "unknown-stream",
    UnknownExam: "unknown-exam",
    UnknownCandidate: "unknown-candidate",
    NoPdf: "no-pdf",
    UnknownZone: "bad-parameter",
    RecordError: "record-failed",
    ExamError: "exam-failed",
    StoreError: "store-failed",
}

T = TypeVar("T")


class Reports:
    """Their routes. One is made at a time, in a thread of its own; PDFs in a process of its own."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._thread = ThreadPoolExecutor(1, "reports")
        self._turn = asyncio.Lock()
        self._waiting = 0

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
        """A report for whoever asks, who may. Raises :class:`WireError`."""
        if self._context.book is None:
            raise WireError("no-records", "this server keeps no records (records = false)")
        if self._waiting >= WAITING:
            raise WireError("overloaded", "as many reports as the server makes are asked for")
        self._waiting += 1
        try:
            async with self._turn:
                report, content = await self._made(request, subject, form)
        except (RecordError, ExamError, StoreError, NoPdf, UnknownZone) as error:
            code = next(code for kind, code in CODES.items() if isinstance(error, kind))
            raise WireError(code, str(error)) from error
        finally:
            self._waiting -= 1
        return _as_file(content, form, report)

    async def _made(
        self, request: Request, subject: Subject, form: str
    ) -> tuple[Report | ExamReport, bytes]:
        if form == "pdf":
            check_available()  # before it is noted that somebody took a report
        who, zone = request.caller.grant.who, request.target.query.get("zone")
        asked = Asked(who, time.time(), zone_named(zone) if zone else local_zone())
        taken = form if request.method != "HEAD" else None
        report = await self._in_thread(lambda: self._read(subject, asked, taken))
        if not self._context.tells_figures(request.caller):
            report = without_figures(report)
        return report, await self._content(report, form)

    def _read(self, subject: Subject, asked: Asked, taken: str | None) -> Report | ExamReport:
        """The report; ``taken`` in that form, which is noted. Who asks by HEAD takes nothing."""
        context = self._context
        assert context.book is not None
        library = Library(context.book, context.exams, context.enrolled.names)
        if taken is not None:
            library.note_export(subject, asked, taken)
        return library.report(subject, asked)

    async def _content(self, report: Report | ExamReport, form: str) -> bytes:
        match form:
            case "html":
                return (await self._in_thread(lambda: files.html(report))).encode()
            case "json":
                return await self._in_thread(lambda: files.json(report))
            case "csv":
                return await self._in_thread(lambda: files.csv(report))
            case "pdf":
                page = await self._in_thread(lambda: files.html(report))
                (made,) = await pdfs([page])
                return made
        pages = await self._in_thread(lambda: files.pages(report))
        try:
            found, lacking = await pdfs(list(pages.values())), ""
        except NoPdf as error:
            found, lacking = [], str(error)
        named = dict(zip(pages, found, strict=False))
        return await self._in_thread(lambda: files.archive(report, named, lacking))

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


async def pdfs(pages: list[str]) -> list[bytes]:
    """PDFs of pages, made by a process of its own. Raises :class:`NoPdf`, :class:`WireError`."""
    check_available()
    pipe = asyncio.subprocess.PIPE
    # The code that runs here, and nothing that lies in the folder of the moment.
    command = [sys.executable, "-P", "-m", "streamer.reports.forms.pdf"]
    paths = [str(CODE), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, env=env
    )
    try:
        async with asyncio.timeout(PDF_S):
            told, error = await process.communicate(msgspec.msgpack.encode(pages))
    except TimeoutError as late:
        raise WireError("overloaded", "the PDFs took too long: ask for one candidate") from late
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 2:
        raise NoPdf(error.decode(errors="replace").strip())
    if process.returncode:
        raise WireError("engine-failed", "the PDF could not be made")
    return msgspec.msgpack.decode(told, type=list[bytes])


def _as_file(content: bytes, form: str, report: Report | ExamReport) -> Response:
    """A page is shown and can be kept, anything else is kept (RFC 6266)."""
    shown = form == "html"
    response = respond(200, content, TYPES[form], policy=f"{policy()}; frame-ancestors 'none'")
    name = f"{files.stem(report)}.{form}"
    plain = name.encode("ascii", "replace").decode().replace("?", "-")
    response.headers["Content-Disposition"] = (
        f'{"inline" if shown else "attachment"}; filename="{plain}";'
        f" filename*=UTF-8''{quote(name)}"
    )
    return response
