"""The routes of Open edX's REST API for proctoring, and the pages of its course teams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

from websockets.http11 import Response

from streamer.edx import pages
from streamer.edx.client import VISIT_S, Visit
from streamer.edx.errors import BadRequest, EdxError, NotThere, Unauthorised
from streamer.exams.errors import ExamError, UnknownCandidate, UnknownExam
from streamer.exams.pages import POLICY
from streamer.reports.library import Subject
from streamer.server.context import Context
from streamer.server.entrance import Entrance
from streamer.server.http.reports import Reports
from streamer.server.http.request import Request
from streamer.server.http.responses import HTML, respond, respond_json
from streamer.server.http.routes import Route
from streamer.server.openedx import EdxService
from streamer.wire.errors import WireError

BODY_BYTES = 1 << 16
COOKIE = "voxwatch-visit"
EXAM, ATTEMPT = "/api/v1/exam/{exam}/", "/api/v1/exam/{exam}/attempt/{attempt}/"
TEAM = "/api/v1/instructor/{client}/"
CODES: dict[type[Exception], str] = {
    Unauthorised: "unauthorised",
    NotThere: "not-found",
    BadRequest: "bad-parameter",
    UnknownCandidate: "not-found",
    UnknownExam: "not-found",
}
T = TypeVar("T")
Answer = Callable[[Request], Awaitable[Any]]


class EdxRoutes:
    """Thin: each hands a request to the back end, in a thread, and answers with JSON."""

    def __init__(
        self, context: Context, entrance: Entrance, service: EdxService, reports: Reports
    ) -> None:
        self._context, self._entrance, self._service = context, entrance, service
        self._reports = reports

    def routes(self) -> Iterator[Route]:
        """Open to everybody by the roles of tokens: Open edX has tokens of its own."""
        route = partial(Route, roles=None, body_bytes=BODY_BYTES)
        yield route("POST", "/oauth2/access_token", self._access)
        for method, path, answer in (
            ("GET", "/api/v1/config/", self._config),
            ("POST", "/api/v1/exam/", self._save_exam),
            ("POST", EXAM, self._save_exam),
            ("GET", EXAM, self._exam),
            ("POST", EXAM + "attempt/", self._create_attempt),
            ("GET", ATTEMPT, self._attempt),
            ("PATCH", ATTEMPT, self._change_attempt),
            ("DELETE", ATTEMPT, self._delete_attempt),
            ("DELETE", "/api/v1/user/{user}/", self._retire),
        ):
            yield route(method, path, partial(self._answer, path, answer))
        yield route("GET", TEAM, self._team)
        yield route("GET", TEAM + "exam/{exam}/", self._team_exam)
        yield route("GET", TEAM + "exam/{exam}/attempt/{attempt}/", self._team_attempt)
        yield route("GET", TEAM + "exam/{exam}/attempt/{attempt}/report/", self._team_report)

    # The REST API.

    async def _access(self, request: Request) -> Response:
        body, now = await request.body(), time.time()
        return respond_json(200, await self._call(self._service.client.access, body, now))

    async def _answer(self, path: str, answer: Answer, request: Request) -> Response:
        """What Open edX is answered, once its token was looked at."""
        authorization = request.headers.get("Authorization", "")
        await self._call(self._service.client.check, authorization, time.time())
        self._entrance.welcome(request, self._service.grant, path)
        return respond_json(200, await answer(request))

    async def _config(self, request: Request) -> Any:
        return self._service.backend.config()

    async def _save_exam(self, request: Request) -> Any:
        exam = request.fields.get("exam")
        return await self._call(self._service.backend.save_exam, await request.body(), exam)

    async def _exam(self, request: Request) -> Any:
        return await self._call(self._service.backend.exam, request.fields["exam"])

    async def _create_attempt(self, request: Request) -> Any:
        body, exam = await request.body(), request.fields["exam"]
        return await self._call(self._service.backend.create_attempt, body, exam, time.time())

    async def _attempt(self, request: Request) -> Any:
        exam, id = request.fields["exam"], request.fields["attempt"]
        return await self._call(self._service.backend.attempt, exam, id, time.time())

    async def _change_attempt(self, request: Request) -> Any:
        body, (exam, id) = await request.body(), request.fields.values()
        return await self._call(self._service.backend.change_attempt, body, exam, id, time.time())

    async def _delete_attempt(self, request: Request) -> Any:
        exam, id = request.fields["exam"], request.fields["attempt"]
        return await self._call(self._service.backend.delete_attempt, exam, id)

    async def _retire(self, request: Request) -> Any:
        try:
            return await self._service.retire(request.fields["user"])
        except NotThere as error:
            raise WireError("not-found", str(error)) from error

    # Pages of course teams.

    async def _team(self, request: Request) -> Response:
        """By a link, which is taken out of the address at once; from then on by a cookie."""
        if (link := request.target.query.get("jwt")) is not None:
            return await self._let_in(request, link)
        visit = await self._visit(request)
        if visit.exam is None:
            found = await self._call(self._service.backend.book.of_course, visit.course)
            return _page(pages.course_page(found))
        place = f"exam/{quote(visit.exam)}/"
        if visit.attempt is not None:
            place += f"attempt/{quote(visit.attempt)}/"
        return _elsewhere(f"{request.path}{place}")

    async def _let_in(self, request: Request, link: str) -> Response:
        client, now = self._service.client, time.time()
        visit, number, until = await self._call(client.visit, request.fields["client"], link, now)
        if not await self._call(self._service.backend.book.use_link, number, until, now):
            raise WireError("unauthorised", "the link was used already: open it from Open edX")
        response = _elsewhere(request.path)
        secure = "; Secure" if request.asker.scheme == "https" else ""
        response.headers["Set-Cookie"] = (
            f"{COOKIE}={client.keep(visit, now)}; Path={request.path}; Max-Age={VISIT_S:.0f};"
            f" HttpOnly; SameSite=Lax{secure}"
        )
        return response

    async def _team_exam(self, request: Request) -> Response:
        visit = await self._visit(request)
        return _page(await self._call(self._exam_page, visit, request.fields["exam"]))

    async def _team_attempt(self, request: Request) -> Response:
        visit, fields = await self._visit(request), request.fields
        exam, id = fields["exam"], fields["attempt"]
        page = await self._call(self._attempt_page, visit, exam, id)
        streams = await self._call(self._service.streams_of, exam, id)
        self._context.viewings.saw(self._service.grant.who, streams, time.monotonic())
        return _page(page)

    async def _team_report(self, request: Request) -> Response:
        visit, (_, exam, id) = await self._visit(request), request.fields.values()
        await self._call(self._service.backend.seen, visit, exam, id)
        attempt = await self._call(self._service.backend.book.attempt, exam, id)
        self._entrance.welcome(request, self._service.grant, TEAM)
        subject = Subject(None, attempt.exam, attempt.candidate)
        return await self._reports.answer(request, subject, "html")

    def _exam_page(self, visit: Visit, id: str) -> str:
        backend = self._service.backend
        exam = backend.seen(visit, id)
        return pages.exam_page(
            exam, [(one, backend.name(one)) for one in backend.book.attempts(id)]
        )

    def _attempt_page(self, visit: Visit, exam: str, id: str) -> str:
        backend = self._service.backend
        found, attempt = backend.seen(visit, exam, id), backend.book.attempt(exam, id)
        return pages.attempt_page(found, attempt, backend.name(attempt))

    async def _visit(self, request: Request) -> Visit:
        """Whose cookie that is. Raises :class:`WireError`."""
        cookies = request.headers.get("Cookie", "").split(";")
        named = [one.strip().partition("=") for one in cookies]
        token = next((value for name, _, value in named if name == COOKIE), "")
        return await self._call(self._service.client.kept, token, time.time())

    async def _call(self, function: Callable[..., T], *arguments: Any) -> T:
        """In a thread; what it refuses is told by the codes of the wire."""
        loop = asyncio.get_running_loop()
        call = partial(function, *arguments)
        try:
            return await loop.run_in_executor(self._context.book_threads, call)
        except (EdxError, ExamError) as error:
            raise WireError(CODES.get(type(error), "exam-failed"), str(error)) from error


def _page(content: str) -> Response:
    return respond(200, content.encode(), HTML, policy=POLICY)


def _elsewhere(path: str) -> Response:
    response = respond(303, b"")
    response.headers["Location"] = path
    return response
