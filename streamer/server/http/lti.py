"""The routes of LTI: logins and launches of platforms, this tool's keys, and the pages after that.

People's browsers come here, so that a refusal is a page.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qs

from websockets.http11 import Response

from streamer.exams.errors import ExamError
from streamer.exams.pages import POLICY
from streamer.lti import pages
from streamer.lti.book import LOGIN_S
from streamer.lti.errors import LtiError, NotThere, PlatformError, Refused
from streamer.lti.messages import Launch, Place
from streamer.lti.tool import SITTING_S
from streamer.lti.visits import VISIT_S
from streamer.reports.library import Subject
from streamer.server.auth import Grant
from streamer.server.context import Context
from streamer.server.entrance import Entrance
from streamer.server.http.reports import Reports
from streamer.server.http.request import Request
from streamer.server.http.responses import HTML, respond, respond_json
from streamer.server.http.routes import Route
from streamer.server.lti import LtiService
from streamer.wire.errors import WireError

log = logging.getLogger("voxwatch.server")

BODY_BYTES = 1 << 16
MOST_FIELDS = 64
LOGIN, LAUNCH, KEYS = "/lti/login", "/lti/launch", "/lti/jwks"
SITTING, TEAM = "/lti/attempt/{attempt}/", "/lti/team/"
COOKIE = "voxwatch-lti"
KEPT_S = 300  # that platforms may keep the key set
STATUS: dict[type[Exception], int] = {Refused: 401, NotThere: 404, PlatformError: 502}
T = TypeVar("T")
Answer = Callable[[Request], Awaitable[Response]]


class LtiRoutes:
    """Thin: each hands a request to the tool, in a thread."""

    def __init__(
        self, context: Context, entrance: Entrance, service: LtiService, reports: Reports
    ) -> None:
        self._context, self._entrance, self._service = context, entrance, service
        self._reports, self._tool = reports, service.tool
        self._secure = service.tool.base.startswith("https:")

    def routes(self) -> Iterator[Route]:
        """Open to everybody by the roles of tokens: a platform's signature lets in."""
        yield Route("GET", KEYS, self._keys, roles=None, quiet=True)
        for method, path, answer in (
            ("GET", LOGIN, self._login),
            ("POST", LOGIN, self._login),
            ("POST", LAUNCH, self._launch),
            ("GET", SITTING, self._sitting),
            ("GET", TEAM, self._team),
            ("GET", TEAM + "exam/{exam}/", self._team_exam),
            ("GET", TEAM + "exam/{exam}/attempt/{attempt}/report/", self._team_report),
        ):
            yield Route(method, path, partial(self._answer, answer), None, BODY_BYTES)

    async def _answer(self, answer: Answer, request: Request) -> Response:
        """What is refused is told to people."""
        try:
            return await answer(request)
        except LtiError as error:
            # What it says was made here, and names nobody.
            log.info("LTI: %s", error)
            status = STATUS.get(type(error), 500)
            return _page(pages.refused_page(str(error)), status=status)

    async def _keys(self, request: Request) -> Response:
        try:
            found = await self._call(self._tool.keys.key_set, time.time())
        except LtiError as error:
            raise WireError("exam-failed", str(error)) from error
        response = respond_json(200, found)
        response.headers["Cache-Control"] = f"public, max-age={KEPT_S}"
        return response

    # Logins and launches.

    async def _login(self, request: Request) -> Response:
        self._entrance.welcome(request, Grant(), LOGIN)
        asked = request.target.query if request.method != "POST" else await _form(request)
        login = await self._call(self._tool.login, asked, time.time())
        response = _elsewhere(login.url, 302)
        self._give(response, _name(login.state), login.state, LAUNCH, LOGIN_S, across=True)
        return response

    async def _launch(self, request: Request) -> Response:
        self._entrance.welcome(request, Grant(), LAUNCH)
        form = await _form(request)
        cookie = _cookie(request, _name(form.get("state", "")))
        launch = await self._call(self._tool.launch, form, cookie, time.time())
        self._entrance.welcome(request, self._service.grant(launch.place.issuer), LAUNCH)
        match launch.kind:
            case "LtiStartProctoring":
                return await self._let_sit(launch)
            case "LtiEndAssessment":
                await self._call(self._tool.end, launch, time.time())
                await self._context.seats.refreshed()
                return _page(pages.over_page(launch.error))
        return self._let_look(launch)

    async def _let_sit(self, launch: Launch) -> Response:
        now = time.time()
        attempt = await self._call(self._tool.sit, launch, now)
        await self._context.seats.refreshed()
        place = SITTING.format(attempt=attempt.id)
        response = _elsewhere(place)
        kept = self._service.visits.learner(attempt.id, now)
        self._give(response, COOKIE, kept, place, SITTING_S)
        return response

    def _let_look(self, launch: Launch) -> Response:
        if not launch.teacher:
            raise Refused("teachers come in here: learners open their exam from the course")
        response = _elsewhere(TEAM)
        kept = self._service.visits.teacher(launch.place, time.time())
        self._give(response, COOKIE, kept, TEAM, VISIT_S)
        return response

    # A learner's page.

    async def _sitting(self, request: Request) -> Response:
        attempt = request.fields["attempt"]
        self._service.visits.check_learner(_cookie(request, COOKIE), attempt)
        sitting = await self._call(self._tool.sitting, attempt, time.time())
        platform = None
        if sitting.begin is not None and (launch := sitting.attempt.launch) is not None:
            platform = self._tool.platform(launch.place.issuer, launch.place.client)
        return _page(pages.sitting_page(sitting), policy=pages.policy(platform))

    # Teachers' pages.

    async def _team(self, request: Request) -> Response:
        place = self._place(request)
        return _page(pages.exams_page(await self._call(self._tool.book.seen_from, place)))

    async def _team_exam(self, request: Request) -> Response:
        return _page(
            await self._call(self._exam_page, self._place(request), request.fields["exam"])
        )

    async def _team_report(self, request: Request) -> Response:
        place, fields = self._place(request), request.fields
        attempt = await self._call(
            self._tool.seen_attempt, place, fields["exam"], fields["attempt"]
        )
        self._entrance.welcome(request, self._service.grant(place.issuer), TEAM)
        subject = Subject(None, attempt.exam, attempt.candidate)
        return await self._reports.answer(request, subject, "html")

    def _exam_page(self, place: Place, id: str) -> str:
        exam = self._tool.seen(place, id)
        found = self._tool.book.attempts(id)
        return pages.exam_page(exam, [(one, self._tool.name(one)) for one in found])

    def _place(self, request: Request) -> Place:
        return self._service.visits.place(_cookie(request, COOKIE))

    def _give(
        self,
        response: Response,
        name: str,
        value: str,
        path: str,
        seconds: float,
        *,
        across: bool = False,
    ) -> None:
        """A cookie. ``across``: a form of the platform's page has to bring it along."""
        how = "; Secure" if self._secure else ""
        if across and self._secure:
            how += "; SameSite=None"
        elif not across:
            how += "; SameSite=Lax"
        response.headers["Set-Cookie"] = (
            f"{name}={value}; Path={path}; Max-Age={seconds:.0f}; HttpOnly{how}"
        )

    async def _call(self, function: Callable[..., T], *arguments: Any) -> T:
        """In a thread. Raises :class:`LtiError`, and for exams of ours :class:`WireError`."""
        loop = asyncio.get_running_loop()
        call = partial(function, *arguments)
        try:
            return await loop.run_in_executor(self._context.book_threads, call)
        except ExamError as error:
            raise WireError("exam-failed", str(error)) from error


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form. Raises :class:`Refused`."""
    body = await request.body()
    try:
        found = parse_qs(body.decode("ascii"), errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise Refused("the form cannot be read") from error
    if any(len(values) > 1 for values in found.values()):
        raise Refused("the form has a field twice")
    return {name: values[0] for name, values in found.items()}


def _name(state: str) -> str:
    """The cookie of a login: one browser may have several under way."""
    return f"{COOKIE}-{hashlib.sha256(state.encode()).hexdigest()[:12]}"


def _cookie(request: Request, name: str) -> str:
    cookies = request.headers.get("Cookie", "").split(";")
    named = [one.strip().partition("=") for one in cookies]
    return next((value for key, _, value in named if key == name), "")


def _page(content: str, *, status: int = 200, policy: str = POLICY) -> Response:
    return respond(status, content.encode(), HTML, policy=policy)


def _elsewhere(address: str, status: int = 303) -> Response:
    response = respond(status, b"")
    response.headers["Location"] = address
    return response
