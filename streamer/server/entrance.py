"""Who may come in: the answer to every request that reaches the port."""

from __future__ import annotations

import json
import logging
import math
import time

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from streamer.server.auth import ROLES, Grant
from streamer.server.caller import Caller
from streamer.server.connection import Connection
from streamer.server.context import Context
from streamer.server.limits.crowd import Guest
from streamer.server.limits.rate import Rate
from streamer.server.limits.shares import Client
from streamer.server.metrics import CONTENT_TYPE, Metrics
from streamer.server.origins import host_allowed, hosts_of, origin_allowed
from streamer.server.pages import Pages, protect, respond
from streamer.server.proxies import Asker, Proxies, is_about_a_client
from streamer.server.workers.peers import CLIENT
from streamer.wire.errors import HTTP_STATUS, WireError
from streamer.wire.parsing import Target, parse_target
from streamer.wire.requests import Role

log = logging.getLogger("voxwatch.server")

STREAM, ENROLL, MONITOR, CONTROL = "/v1/stream", "/v1/enroll", "/v1/monitor", "/v1/control"
VERIFY = "/v1/verify"  # which takes a body: see posted
ORIGIN = "/v1/origin"  # whether a page of an origin may connect, and what to set if not
NEEDED: dict[str, Role | None] = {
    STREAM: "stream",
    ENROLL: "enrol",
    MONITOR: "monitor",
    CONTROL: None,  # each request needs its own
}
PROBES = ("/healthz", "/readyz")  # which are asked for by address, or by any name
ONCE = ("Host", "Origin", "Authorization")  # headers of which a second one is a mistake, or a trick
REQUEST_BYTES = 1 << 14  # of a message where no sound is due
FULL_RETRY_S = 5.0


class Entrance:
    """Answers what is no WebSocket, and lets in what is one and may be opened."""

    def __init__(self, context: Context, pages: Pages, metrics: Metrics) -> None:
        config = context.config
        self._context, self._pages, self._metrics = context, pages, metrics
        self._proxies = Proxies(config.forwarded)
        self._scheme = "https" if config.tls_cert else "http"
        self._hosts = hosts_of(config.origins) | {config.host.lower(), *config.hosts}
        self._rate = Rate(config.limits.opens_per_minute)
        self._told_of_proxy = False

    async def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to a GET, or None for a WebSocket that may be opened."""
        assert isinstance(connection, Connection)
        if request.method not in ("GET", "HEAD"):
            return respond(405, b"only GET is answered here\n")
        if connection.of_worker:
            self._admit_worker(connection, request)
            return None
        try:
            target = parse_target(request.path)
            asker = self._asker(connection.peer, request.headers, target.path)
            if target.path not in NEEDED:
                page = await self._page(target, request.headers, asker)
                page.body = b"" if request.method == "HEAD" else page.body
                return page
            needed = NEEDED[target.path]
            caller = await self._caller(target, request.headers, asker, needed)
            if caller.grant.roles:
                self._join(connection, caller.client)
        except WireError as error:
            return self._refuse(error)
        if target.path in (MONITOR, CONTROL):  # where no sound is due
            most = self._context.config.limits.message_bytes
            connection.protocol.max_message_size = min(REQUEST_BYTES, most)
        connection.target, connection.caller = target, caller
        return None

    def _admit_worker(self, connection: Connection, request: Request) -> None:
        """Another worker is trusted. It speaks for a client, or for itself."""
        client = tuple(json.loads(request.headers[CLIENT]))
        address = client[-1] if client else "worker"
        connection.target = parse_target(request.path)
        connection.caller = Caller(Grant(ROLES), address)
        self._context.crowd.joined(connection, ("worker", address))

    async def admit_post(self, guest: Guest, target: Target, headers: Headers, peer: str) -> Caller:
        """Let in who sends a recording, if they may stream. Raises :class:`WireError`."""
        asker = self._asker(peer, headers, target.path)
        caller = await self._caller(target, headers, asker, "stream")
        self._join(guest, caller.client)
        return caller

    def finish(
        self, connection: ServerConnection, request: Request, response: Response
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

    # Raises `WireError` for whoever may not come in.

    def _asker(self, peer: str, headers: Headers, path: str) -> Asker:
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
        self, target: Target, headers: Headers, asker: Asker, needed: Role | None
    ) -> Caller:
        if not self._origin_allowed(headers.get("Origin"), asker):
            raise WireError("forbidden-origin", "pages of this origin may not connect")
        caller = Caller(await self._grant(target, _bearer(headers), needed), asker.address)
        if needed is not None and needed not in caller.grant.roles:
            raise WireError("unauthorised", f"this needs a token with the role {needed}")
        key = (*caller.client[:1], target.path)
        if wait_s := self._rate.wait_s(key, time.monotonic()):
            limit = "too often by this client (limits.opens_per_minute)"
            raise WireError("too-often", limit, retry_s=math.ceil(wait_s))
        return caller

    def _origin_allowed(self, origin: str | None, asker: Asker) -> bool:
        return origin_allowed(origin, asker.host, self._context.config.origins)

    def _join(self, guest: Guest, client: Client) -> None:
        """Make one a member who may do something."""
        if not self._context.crowd.joined(guest, client):
            message = "as many connections as the server, or this client, may have"
            raise WireError("overloaded", message, retry_s=FULL_RETRY_S)

    async def _grant(self, target: Target, bearer: str | None, needed: Role | None) -> Grant:
        """Of the token in the header, or of a URL token: that opens this one path if it may."""
        auth = self._context.auth
        grant = auth.grant(bearer, time.time())
        if target.token is None or not auth.required:
            return grant
        peers = self._context.peers
        if (owner := peers.owner(target.token)) == peers.number:
            minted = auth.redeem(target.token, time.monotonic())
        else:  # another worker made it, and knows whether it was used
            told = await peers.ask_one(owner, "redeem", token=target.token)
            minted = Grant.told(told) if told else Grant()
        return minted if needed is not None and needed in minted.roles else grant

    def _refuse(self, error: WireError) -> Response:
        self._context.counts.errors[error.code] += 1
        log.info("a request was refused: %s", error.code)
        body = f"{error.code}: {error}\n".encode()
        response = respond(HTTP_STATUS.get(error.code, 400), body)
        if error.retry_s is not None:
            response.headers["Retry-After"] = str(math.ceil(error.retry_s))
        return response

    # Pages.

    async def _page(self, target: Target, headers: Headers, asker: Asker) -> Response:
        match target.path:
            case "/healthz":
                return respond(200, b"ok\n")
            case "/readyz":
                return await self._ready()
            case "/metrics":
                return await self._figures(_bearer(headers), asker)
            case path if path == VERIFY:
                page = respond(405, b"post a recording here\n")
                page.headers["Allow"] = "POST"
                return page
            case path if path == ORIGIN:
                return self._about_origin(target.query.get("origin", ""), asker)
            case path:
                return self._pages.get(path, asker.host)

    def _about_origin(self, origin: str, asker: Asker) -> Response:
        """For a page that could not connect: its own origin, and what would let it in."""
        if self._origin_allowed(origin, asker):
            return respond(200, b"")
        return respond(200, f'origins = ["{origin[:200]}"]'.encode("ascii", "replace"))

    async def _ready(self) -> Response:
        if self._context.draining:
            return respond(503, b"draining\n")
        if not self._context.store_sound:
            return respond(503, b"the store of voiceprints cannot be read: see the log\n")
        others = await self._context.peers.ask("ready")
        if not all(others) or len(others) < len(self._context.peers.others):
            return respond(503, b"not every worker serves\n")
        return respond(200, b"ready\n")

    async def _figures(self, bearer: str | None, asker: Asker) -> Response:
        if not (self._context.auth.required or self._origin_allowed(f"http://{asker.host}", asker)):
            raise WireError("forbidden-origin", "no page of this name may read this")
        if not self._context.auth.grant(bearer, time.time()).roles & {"monitor", "admin"}:
            raise WireError("unauthorised", "this needs a token with the role monitor")
        return respond(200, await self._metrics.text(), CONTENT_TYPE)


def _bearer(headers: Headers) -> str | None:
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
