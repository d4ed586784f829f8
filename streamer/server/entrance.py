"""Who may come in: the answer to every request that reaches the port."""

from __future__ import annotations

import json
import logging
import time

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from streamer.server.auth import ROLES, origin_allowed
from streamer.server.connection import Connection
from streamer.server.context import Context
from streamer.server.limits.crowd import Guest
from streamer.server.metrics import CONTENT_TYPE, Metrics
from streamer.server.pages import Pages, respond
from streamer.server.workers.peers import CLIENT
from streamer.wire.errors import WireError
from streamer.wire.parsing import Target, parse_target
from streamer.wire.requests import Role

log = logging.getLogger("voxwatch.server")

STREAM, ENROLL, MONITOR, CONTROL = "/v1/stream", "/v1/enroll", "/v1/monitor", "/v1/control"
VERIFY = "/v1/verify"  # which takes a body: see posted
NEEDED: dict[str, Role | None] = {
    STREAM: "stream",
    ENROLL: "enrol",
    MONITOR: "monitor",
    CONTROL: None,  # each request needs its own
}
FULL = "the server has all the connections it takes"
REQUEST_BYTES = 1 << 14  # of a message where no sound is due


class Entrance:
    """Answers what is no WebSocket, and lets in what is one and may be opened."""

    def __init__(self, context: Context, pages: Pages, metrics: Metrics) -> None:
        self._context, self._pages, self._metrics = context, pages, metrics

    async def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to a GET, or None for a WebSocket that may be opened."""
        assert isinstance(connection, Connection)
        if request.method not in ("GET", "HEAD"):
            return respond(405, b"only GET is answered here\n")
        try:
            target = parse_target(request.path)
        except WireError as error:
            return self._refuse(400, error.code, str(error))
        headers = request.headers
        if connection.of_worker:
            connection.client = tuple(json.loads(headers[CLIENT]))
            connection.target, connection.roles = target, ROLES
            self._context.crowd.joined(connection)
            return None
        host = headers.get("Host", "")
        if target.path not in NEEDED:
            page = await self._page(target.path, _bearer(request.headers), host)
            page.body = b"" if request.method == "HEAD" else page.body
            return page
        if not origin_allowed(headers.get("Origin"), host, self._context.config.origins):
            return self._refuse(403, "forbidden-origin", "pages of this origin may not connect")
        roles, connection.holder = await self._shown(target, _bearer(request.headers))
        needed = NEEDED[target.path]
        if needed is not None and needed not in roles:
            return self._refuse(401, "unauthorised", f"this needs a token with the role {needed}")
        if roles and not self._join(connection):
            return self._refuse(503, "overloaded", FULL)
        if target.path in (MONITOR, CONTROL):  # where no sound is due
            most = self._context.config.limits.message_bytes
            connection.protocol.max_message_size = min(REQUEST_BYTES, most)
        connection.target, connection.roles = target, roles
        connection.client = (connection.address,)
        return None

    async def admit_post(self, guest: Guest, target: Target, headers: Headers) -> None:
        """Let in who sends a recording, if they may stream. Raises :class:`WireError`."""
        host = headers.get("Host", "")
        if not origin_allowed(headers.get("Origin"), host, self._context.config.origins):
            raise WireError("forbidden-origin", "pages of this origin may not connect")
        roles, _ = await self._shown(target, _bearer(headers))
        if "stream" not in roles:
            raise WireError("unauthorised", "this needs a token with the role stream")
        if not self._join(guest):
            raise WireError("overloaded", FULL)

    def _join(self, guest: Guest) -> bool:
        """Whether there is room for one more who may do something."""
        crowd = self._context.crowd
        if crowd.members >= self._context.config.limits.connections:
            return False
        crowd.joined(guest)
        return True

    async def _shown(self, target: Target, bearer: str | None) -> tuple[frozenset[Role], str]:
        """The roles of the tokens that a request shows, and who holds them."""
        auth, peers, token = self._context.auth, self._context.peers, target.token
        roles, holder = auth.roles_of(bearer), auth.holder_of(bearer, token)
        if token is None or not auth.required:
            return roles, holder
        if (owner := peers.owner(token)) == peers.number:
            return roles | auth.redeem(token, time.monotonic()), holder
        # Another worker made it, and knows whether it was used.
        if found := await peers.ask_one(owner, "redeem", token=token):
            return roles | frozenset(found["roles"]), found["holder"]
        return roles, holder

    def _refuse(self, status: int, code: str, message: str) -> Response:
        self._context.counts.errors[code] += 1
        log.info("a connection was refused: %s", code)
        return respond(status, f"{code}: {message}\n".encode())

    async def _page(self, path: str, bearer: str | None, host: str) -> Response:
        if path == "/healthz":
            return respond(200, b"ok\n")
        if path == "/readyz":
            return await self._readiness()
        if path == VERIFY:
            page = respond(405, b"post a recording here\n")
            page.headers["Allow"] = "POST"
            return page
        if path == "/metrics":
            if not (self._context.auth.required or self._is_ours(host)):
                return self._refuse(403, "forbidden-origin", "no page of this name may read this")
            if not self._context.auth.roles_of(bearer) & {"monitor", "admin"}:
                return self._refuse(401, "unauthorised", "this needs a token: role monitor")
            return respond(200, await self._metrics.text(), CONTENT_TYPE)
        return self._pages.get(path, host)

    async def _readiness(self) -> Response:
        if self._context.draining:
            return respond(503, b"draining\n")
        if not self._context.store_sound:
            return respond(503, b"the store of voiceprints cannot be read: see the log\n")
        others = await self._context.peers.ask("ready")
        if not all(others) or len(others) < len(self._context.peers.others):
            return respond(503, b"not every worker serves\n")
        return respond(200, b"ready\n")

    def _is_ours(self, host: str) -> bool:
        """Whether a page of the host that a request names could be our own: see auth."""
        return origin_allowed(f"http://{host}", host, self._context.config.origins)


def _bearer(headers: Headers) -> str | None:
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
