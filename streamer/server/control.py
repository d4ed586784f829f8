"""`/v1/control`: requests about people, streams and the server, and their answers."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from engine.decisions.config import DecisionConfig
from engine.enrolment_demands import EnrolmentConfig
from engine.scoring.expected_rates import expected_rates
from streamer.exams.links import is_link
from streamer.records.entries import Acted
from streamer.server import exam_requests
from streamer.server.auth import NOBODY, URL_TOKEN_S, Grant
from streamer.server.connection import Connection
from streamer.server.context import Context, bounds_of
from streamer.server.descriptions import enrolled, state
from streamer.server.desk import Desk
from streamer.server.enroll import CODES
from streamer.server.record_requests import RecordRequests
from streamer.server.record_upkeep import forget_the_deleted
from streamer.server.sound import encodings
from streamer.server.streams import Streams
from streamer.server.totals import figures, summed
from streamer.store.errors import StoreError
from streamer.wire.errors import WireError
from streamer.wire.exam_requests import AnswerClips, ShowSeat, Withdraw
from streamer.wire.parsing import parse_request
from streamer.wire.requests import (
    Act,
    Authenticate,
    Delete,
    Export,
    History,
    Incidents,
    ListProfiles,
    ListStreams,
    Recorded,
    Request,
    Role,
    ShowProfile,
    Status,
    UrlToken,
)

log = logging.getLogger("voxwatch.server")

WRONG_TOKENS = 5  # of one connection; after that it is closed
STRANGER_S = 5.0  # for a token, from the connection on
HOLDS = frozenset({"hold", "release"})  # acts that decide how long a record is kept
NEEDED: dict[type, frozenset[Role]] = {
    **exam_requests.NEEDED,
    ListStreams: frozenset({"monitor", "admin"}),
    ListProfiles: frozenset({"enrol", "admin"}),
    ShowProfile: frozenset({"enrol", "admin"}),
    Export: frozenset({"admin"}),
    Delete: frozenset({"admin"}),
    History: frozenset({"monitor", "admin"}),
    Recorded: frozenset({"monitor", "admin"}),
    Incidents: frozenset({"monitor", "admin"}),
    Act: frozenset({"monitor", "admin"}),
}
# Requests, by their link.
OF_CANDIDATES = (Authenticate, Status, UrlToken, ShowSeat, AnswerClips, Withdraw)


class Control:
    """One control connection and the roles it has shown tokens for."""

    def __init__(self, context: Context, streams: Streams, connection: Connection) -> None:
        self._context, self._streams, self._connection = context, streams, connection
        self._grants = [connection.caller.grant]
        self._records, self._desk = RecordRequests(context), Desk(context, streams)
        self._wrong = 0

    @property
    def _roles(self) -> frozenset[Role]:
        return NOBODY.union(*(grant.roles for grant in self._held()))

    def _held(self) -> list[Grant]:
        """What was granted here and is so still."""
        auth, now = self._context.auth, time.time()
        return [grant for grant in self._grants if auth.still_holds(grant, now)]

    def _grant_of(self, *roles: Role) -> Grant:
        """The first grant with one of these. The caller has checked that there is one."""
        wanted = frozenset(roles)
        return next(grant for grant in self._held() if wanted & grant.roles)

    def _grant_for(self, request: Request) -> Grant:
        """The first grant by which that may be asked for; of nothing where it needs none."""
        needed = NEEDED.get(type(request), frozenset({"admin"}))
        return next((grant for grant in self._held() if grant.roles & needed), Grant())

    async def serve(self) -> None:
        """One connection. Raises :class:`WireError`, ``ConnectionClosed``."""
        connection, idle_s = self._connection, self._context.config.limits.idle_s
        while True:
            message = await self._heard(connection, idle_s)
            if isinstance(message, bytes):
                raise WireError("wrong-frame", "a request is JSON text")
            await self._wait_for_turn()
            await self._tell(connection, msgspec.json.encode(await self._answer(message)), idle_s)
            if self._wrong >= WRONG_TOKENS:
                raise WireError("unauthorised", "too many tokens were wrong")

    async def _heard(self, connection: Connection, idle_s: float) -> str | bytes:
        """The next message. Someone who has a role may be silent; a stranger may not stay."""
        within_s = min(idle_s, STRANGER_S)
        try:
            async with asyncio.timeout_at(None if self._roles else connection.came_at + within_s):
                return await connection.hear()
        except TimeoutError as error:
            raise WireError("unauthorised", f"no token came within {within_s:g} s") from error

    async def _wait_for_turn(self) -> None:
        """Whoever asks too often is answered later."""
        client, rate = self._connection.caller.client, self._context.requests
        while wait_s := rate.wait_s(client, time.monotonic()):
            await asyncio.sleep(wait_s)

    async def _tell(self, connection: Connection, answer: bytes, idle_s: float) -> None:
        """Whoever asks has to read: a connection that does not is not kept for nothing."""
        try:
            async with asyncio.timeout(idle_s):
                await connection.say([answer])
        except TimeoutError as error:
            raise WireError("slow-consumer", "the answers are not read") from error

    async def _answer(self, text: str) -> dict[str, Any]:
        number: Any = None
        try:
            call = parse_request(text)
            number = call.id
            return {"id": number, "ok": True, "result": await self._result(call.request)}
        except WireError as error:
            number = error.request_id if number is None else number
            code, message = error.code, str(error)
        except StoreError as error:
            code, message = CODES.get(type(error), "store-failed"), str(error)
        self._context.counts.errors[code] += 1
        return {"id": number, "ok": False, "error": {"code": code, "message": message}}

    async def _result(self, request: Request) -> Any:
        self._check(request)
        if exam_requests.is_about_exams(request):
            grant = self._seat or self._grant_for(request)
            return await exam_requests.answer(self._context, self._streams, request, grant)
        store = self._context.store
        now = await asyncio.to_thread(store.now)
        match request:
            case Authenticate():
                return await self._authenticated(request.token)
            case Status():
                return await self._status()
            case ListStreams():
                return await self._all_streams()
            case ListProfiles():
                found = await asyncio.to_thread(store.profiles, now)
                return [enrolled(profile, self._context.model) for profile in found]
            case ShowProfile():
                profile = await asyncio.to_thread(store.profile, request.name, now)
                like = await self._context.enrolled.like(profile.name)
                return enrolled(profile, self._context.model) | {"like_voices": like}
            case Export():
                export = partial(store.export, request.name, now, who=self._grant_of("admin").who)
                return await asyncio.to_thread(export)
            case Delete():
                await self._delete(request.name)
                return {}
            case History():
                return await self._records.history(request, self._grant_of("monitor", "admin"))
            case Recorded():
                return await self._records.recorded(request)
            case Act():
                return await self._acted(request)
            case Incidents():
                return await self._incidents(request)
            case UrlToken():
                return {"token": self._minted(request.role), "expires_in_s": URL_TOKEN_S}

    async def _all_streams(self) -> list[dict[str, Any]]:
        """Those of this process and of its peers."""
        ours = [state(stream) for stream in self._streams.all()]
        others = await self._context.peers.ask("streams")
        return ours + [one for streams in others for one in streams]

    async def _acted(self, request: Act) -> Acted:
        holds = request.act in HOLDS
        grant = self._grant_of("admin") if holds else self._grant_of("monitor", "admin")
        if request.incident is not None:
            await self._desk.check(request.stream, request.incident)
        acted = await self._records.act(request, grant)
        await self._desk.tell(request.stream, acted)
        return acted

    async def _incidents(self, request: Incidents) -> list[dict[str, Any]]:
        grant = self._grant_of("monitor", "admin")
        figures = self._context.config.scores and grant.scores
        told = await self._desk.incidents(request, figures=figures)
        seen = {one["stream"] for one in told} | set(filter(None, [request.stream]))
        self._context.viewings.saw(grant.who, seen, time.monotonic())
        return told

    @property
    def _seat(self) -> Grant | None:
        """The grant of a candidate link, which is then the only one."""
        return next((grant for grant in self._grants if grant.seat is not None), None)

    def _check(self, request: Request) -> None:
        if self._seat is not None and not isinstance(request, OF_CANDIDATES):
            raise WireError("unauthorised", "a candidate link opens its page and nothing else")
        needed = NEEDED.get(type(request))
        if isinstance(request, UrlToken):
            needed = frozenset({request.role})
        if isinstance(request, Act) and request.act in HOLDS:
            needed = frozenset({"admin"})
        if needed is not None and not needed & self._roles:
            roles = " or ".join(sorted(needed))
            raise WireError("unauthorised", f"this needs a token with the role {roles}")

    async def _authenticated(self, token: str) -> dict[str, Any]:
        if is_link(token):  # of an exam that another process may have made just now
            await self._context.seats.refreshed()
        grant = self._context.auth.grant(token, time.time())
        if not grant.roles:
            self._wrong += 1
            raise WireError("unauthorised", "that token is not known, or has expired")
        connection = self._connection
        caller = replace(connection.caller, grant=grant)
        if not self._context.crowd.joined(connection, caller.client):
            raise WireError("overloaded", "the server has all the connections it takes")
        if not connection.caller.grant.roles or grant.seat is not None:
            connection.caller = caller
        if grant.seat is not None:
            self._grants = [grant]  # whoever comes by a link is that candidate and nobody else
        elif self._seat is None and grant not in self._grants:
            self._grants.append(grant)
        return {"roles": sorted(self._roles)}

    def _minted(self, role: Role) -> str:
        """A URL token, of a token that is none itself."""
        if role == "admin":
            raise WireError("unauthorised", "no URL may do what an admin may")
        return self._context.auth.mint(self._grant_of(role), role, time.monotonic())

    async def _status(self) -> dict[str, Any]:
        """For anybody the model and the text of consent; figures for those with a role."""
        context, config, own = self._context, self._context.config, self._context.config.consent
        known = {
            "version": context.server,
            "model": context.model,
            "provider": context.model.provider,
            "auth_required": context.auth.required,
            "roles": sorted(self._roles),
            "encodings": encodings(),
            "consent": {"text_version": own.version, "text": own.text, "kept": config.kept()},
        }
        if not self._roles:
            return known
        full_s = EnrolmentConfig().needed_s
        others = await context.peers.ask("figures")
        all_figures = summed([figures(context, len(self._streams)), *others])
        return known | {
            "limits": config.limits,
            "window_s": config.window_s,
            "hop_s": config.hop_s,
            "bounds": bounds_of(DecisionConfig(config.false_accept, config.miss)),
            "operating_points": context.operating_points,
            "expected_rates": expected_rates(context.scorer.calibration, full_s),
            "ttl_days": config.ttl_days,
            "streams": all_figures["streams"],
            "stats": all_figures["engine"],
            "record": all_figures["record"] | {"days": config.records_days},
            "expiring_tokens": context.auth.expiring(self._held(), time.time()),
        }

    async def _delete(self, name: str) -> None:
        """Gone from the disk, and from the streams that compare with it, when this returns."""
        try:
            who = self._grant_of("admin").who
            await asyncio.to_thread(partial(self._context.store.delete, name, who=who))
            forget = self._context.seats.exams.forget_voiceprint
            await asyncio.to_thread(forget, name, who, time.time())
        finally:
            await self._streams.renew()
            await self._context.peers.ask("renew")
        await forget_the_deleted(self._context)
        log.info("a profile was deleted")
