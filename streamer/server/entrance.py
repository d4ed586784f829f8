"""Who may come in, to a WebSocket or by a request over plain HTTP."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import time
from base64 import b64decode
from collections.abc import Collection

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request as HandShake
from websockets.http11 import Response

from streamer.server.auth import ROLES, Grant
from streamer.server.caller import Caller
from streamer.server.connection import Connection
from streamer.server.context import Context
from streamer.server.http.request import Request
from streamer.server.http.responses import protect, refuse
from streamer.server.limits.crowd import Guest
from streamer.server.limits.rate import Rate
from streamer.server.limits.shares import Client
from streamer.server.origins import host_allowed, hosts_of, origin_allowed
from streamer.server.proxies import Asker, Proxies, is_about_a_client
from streamer.server.telephony.media_streams import TELNYX_TOKEN
from streamer.server.workers.peers import CLIENT
from streamer.wire.errors import WireError
from streamer.wire.parsing import Target, parse_target
from streamer.wire.requests import Role

log = logging.getLogger("voxwatch.server")

STREAM, ENROLL, MONITOR, CONTROL = "/v1/stream", "/v1/enroll", "/v1/monitor", "/v1/control"
# Of telephone systems, which may show a token only in the message that starts a call.
CALLS = ("/v1/twilio", "/v1/telnyx", "/v1/plivo")
STREAMS: frozenset[Role] = frozenset({"stream"})
WEBSOCKETS: dict[str, frozenset[Role]] = {  # paths, and the roles of which a caller needs one
    STREAM: STREAMS,
    **dict.fromkeys(CALLS, STREAMS),
    ENROLL: frozenset({"enrol"}),
    MONITOR: frozenset({"monitor"}),
    CONTROL: frozenset(),  # each request needs its own
}
HEALTH, READY = "/healthz", "/readyz"
PROBES = (HEALTH, READY)  # which are asked for by address, or by any name
ONCE = ("Host", "Origin", "Authorization")  # headers of which a second one is a mistake, or a trick
REQUEST_BYTES = 1 << 14  # of a message where no sound is due
FULL_RETRY_S = 5.0


class Entrance:
    """Lets in who may come in, and counts them."""

    def __init__(self, context: Context) -> None:
        config = context.config
        self._context = context
        self._proxies = Proxies(config.forwarded)
        self._scheme = "https" if config.tls_cert else "http"
        self._hosts = hosts_of(config.origins) | {config.host.lower(), *config.hosts}
        self._rate = Rate(config.limits.opens_per_minute)
        self._told_of_proxy = False

    async def admit(self, connection: ServerConnection, request: HandShake) -> Response | None:
        """The refusal of a WebSocket, or None for one that may be opened."""
        assert isinstance(connection, Connection)
        if connection.of_worker:
            self._admit_worker(connection, request)
            return None
        try:
            target = parse_target(request.path)
            asker = self.asker(connection.peer, request.headers, target.path)
            if target.path not in WEBSOCKETS:
                raise WireError("not-found", "no WebSocket is at this address")
            roles = WEBSOCKETS[target.path]
            if target.path in CALLS and not _shown(target, request.headers):
                roles = frozenset()
            caller = await self._caller(target, request.headers, asker, roles, target.path)
            if caller.grant.roles:
                self.join(connection, caller.client)
        except WireError as error:
            self._context.counts.errors[error.code] += 1
            log.info("a WebSocket was refused: %s", error.code)
            return refuse(error)
        if target.path in (MONITOR, CONTROL, *CALLS):  # where no sound is due yet
            most = self._context.config.limits.message_bytes
            connection.protocol.max_message_size = min(REQUEST_BYTES, most)
        connection.target, connection.caller = target, caller
        return None

    def _admit_worker(self, connection: Connection, request: HandShake) -> None:
        """Another worker is trusted. It speaks for a client, or for itself."""
        client = tuple(json.loads(request.headers[CLIENT]))
        address = client[-1] if client else "worker"
        connection.target = parse_target(request.path)
        connection.caller = Caller(Grant(ROLES), address)
        self._context.crowd.joined(connection, ("worker", address))

    async def recognise(self, connection: Connection, token: str) -> None:
        """Let in who shows a token when a call starts. Raises :class:`WireError`."""
        target = Target(connection.target.path, {}, token)
        caller = Caller(await self._grant(target, token, STREAMS), connection.caller.address)
        if caller.grant.roles.isdisjoint(STREAMS):
            raise WireError(
                "unauthorised", "the token of the call is not known, or serves no stream"
            )
        self._count(caller, target.path)
        self.join(connection, caller.client)
        connection.caller = caller

    async def admit_request(self, request: Request, roles: Collection[Role], route: str) -> Caller:
        """Let in whoever has one of the ``roles``, if there are any. Raises :class:`WireError`."""
        caller = await self._caller(request.target, request.headers, request.asker, roles, route)
        if caller.grant.seat is not None and roles:
            raise WireError("unauthorised", "a candidate link opens its page and nothing else")
        if caller.grant.roles:
            self.join(request, caller.client)
        return caller

    def finish(
        self, connection: ServerConnection, request: HandShake, response: Response
    ) -> Response | None:
        """Every response but that of an opened WebSocket has the headers of a page."""
        assert isinstance(connection, Connection)
        if response.status_code != 101:
            self.dress(response, connection.peer, request.headers)
        return None

    def dress(self, response: Response, peer: str, headers: Headers) -> None:
        """Add the headers that every response has."""
        try:
            scheme = self._proxies.asker(peer, self._scheme, headers).scheme
        except LookupError:  # a header that is there twice, which is what was answered
            scheme = self._scheme
        protect(response, secure=scheme == "https")

    def asker(self, peer: str, headers: Headers, path: str) -> Asker:
        """Whoever asks. Raises :class:`WireError` for a name that is not the server's."""
        if any(len(headers.get_all(name)) > 1 for name in ONCE):
            raise WireError("bad-message", f"of {', '.join(ONCE)} one each is understood")
        self._tell_of_proxy(peer, headers)
        asker = self._proxies.asker(peer, self._scheme, headers)
        checked = not self._context.auth.required or self._context.config.hosts
        if checked and path not in PROBES and not host_allowed(asker.host, self._hosts):
            raise WireError("forbidden-host", "this name is not in `hosts` of the configuration")
        return asker

    def _tell_of_proxy(self, peer: str, headers: Headers) -> None:
        if (
            not self._told_of_proxy
            and is_about_a_client(headers)
            and not self._proxies.trusts(peer)
        ):
            self._told_of_proxy = True
            log.warning("requests come through a proxy that `forwarded` does not name")

    async def _caller(
        self, target: Target, headers: Headers, asker: Asker, roles: Collection[Role], route: str
    ) -> Caller:
        if not self.origin_allowed(headers.get("Origin"), asker):
            raise WireError("forbidden-origin", "pages of this origin may not connect")
        shown = token_of(headers) if route in (STREAM, *CALLS) else bearer_of(headers)
        caller = Caller(await self._grant(target, shown, roles), asker.address)
        if roles and caller.grant.roles.isdisjoint(roles):
            raise _unauthorised(caller.grant, target, shown, headers, roles)
        self._count(caller, route)
        return caller

    def welcome(self, request: Request, grant: Grant, route: str) -> None:
        """Let in whoever has shown a secret that is no token. Raises :class:`WireError`."""
        request.caller = Caller(grant, request.asker.address)
        self._count(request.caller, route)
        self.join(request, request.caller.client)

    def _count(self, caller: Caller, route: str) -> None:
        key = (*caller.client[:1], route)
        if wait_s := self._rate.wait_s(key, time.monotonic()):
            limit = "too often by this client (limits.opens_per_minute)"
            raise WireError("too-often", limit, retry_s=math.ceil(wait_s))

    def origin_allowed(self, origin: str | None, asker: Asker) -> bool:
        """Whether a page of this origin may connect to the name that was asked for."""
        return origin_allowed(origin, asker.host, self._context.config.origins)

    def join(self, guest: Guest, client: Client) -> None:
        """Make one a member who may do something. Raises :class:`WireError` without a place."""
        if not self._context.crowd.joined(guest, client):
            message = "as many as the server, or this client, may have (limits.connections)"
            raise WireError("overloaded", message, retry_s=FULL_RETRY_S)

    async def _grant(self, target: Target, bearer: str | None, roles: Collection[Role]) -> Grant:
        """Of the token in the header, or of a URL token: that opens this one path if it may."""
        auth = self._context.auth
        grant = auth.grant(bearer, time.time())
        if target.token is None:
            return grant
        peers = self._context.peers
        if (owner := peers.owner(target.token)) == peers.number:
            minted = auth.redeem(target.token, time.monotonic())
        else:  # another worker made it, and knows whether it was used
            told = await peers.ask_one(owner, "redeem", token=target.token)
            minted = Grant.told(told) if told else Grant()
        return grant if minted.roles.isdisjoint(roles) else minted


def _unauthorised(
    grant: Grant, target: Target, shown: str | None, headers: Headers, roles: Collection[Role]
) -> WireError:
    """What is wrong with the token that was shown, or that none was."""
    needed = f"this needs a token with the role {' or '.join(sorted(roles))}"
    if grant.roles:
        told = f"{needed}, which the one that was shown does not have"
    elif shown:
        told = "the token that was shown is not known, or has expired"
    elif target.token is not None:
        told = "the token in the address is not known, was used before, or is older than a minute"
    elif "Authorization" in headers:
        told = f"{needed}, shown as `Authorization: Bearer TOKEN`"
    else:
        told = f"{needed}, and none was shown"
    return WireError("unauthorised", told)


def _shown(target: Target, headers: Headers) -> bool:
    """Whether a token was shown before a call starts."""
    return target.token is not None or "Authorization" in headers or TELNYX_TOKEN in headers


def token_of(headers: Headers) -> str | None:
    """The token in a header, as telephone systems can send it too.

    Asterisk and jambonz know Basic: the password is the token then. Only where streams begin: a
    browser would send it by itself, for whichever page asks.
    """
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        with contextlib.suppress(ValueError):  # also what is no UTF-8
            return b64decode(credentials, validate=True).decode().partition(":")[2]
    return bearer_of(headers) or headers.get(TELNYX_TOKEN)


def bearer_of(headers: Headers) -> str | None:
    """The token in the header."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
