"""What looks after the server: the probes, the figures, and why a page could not connect."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from websockets.http11 import Response

from streamer.server.context import Context
from streamer.server.entrance import HEALTH, READY, WEBSOCKETS, Entrance, bearer_of
from streamer.server.http.request import Request
from streamer.server.http.responses import respond
from streamer.server.http.routes import Route
from streamer.server.metrics import CONTENT_TYPE, Metrics
from streamer.wire.errors import WireError


class Probes:
    """Their routes; and what is told to a plain GET where only WebSockets are served."""

    def __init__(self, context: Context, entrance: Entrance, metrics: Metrics) -> None:
        self._context, self._entrance, self._metrics = context, entrance, metrics

    def routes(self) -> Iterator[Route]:
        """Open to everybody, but for those of WebSockets."""
        get = partial(Route, "GET", roles=None, quiet=True)
        yield get(HEALTH, self._health)
        yield get(READY, self._ready)
        yield get("/metrics", self._figures)
        yield get("/v1/origin", self._origin)
        for path, roles in WEBSOCKETS.items():
            yield Route("GET", path, self._upgrade, roles)

    async def _health(self, request: Request) -> Response:
        return respond(200, b"ok\n")

    async def _ready(self, request: Request) -> Response:
        if self._context.draining:
            return respond(503, b"draining\n")
        if not self._context.store_sound:
            return respond(503, b"the store of voiceprints cannot be read: see the log\n")
        others = await self._context.peers.ask("ready")
        if not all(others) or len(others) < len(self._context.peers.others):
            return respond(503, b"not every worker serves\n")
        return respond(200, b"ready\n")

    async def _figures(self, request: Request) -> Response:
        auth, asker = self._context.auth, request.asker
        own = auth.required or self._entrance.origin_allowed(f"http://{asker.host}", asker)
        if not own:
            raise WireError("forbidden-origin", "no page of this name may read this")
        if not auth.grant(bearer_of(request.headers), time.time()).roles & {"monitor", "admin"}:
            raise WireError("unauthorised", "this needs a token with the role monitor")
        return respond(200, await self._metrics.text(), CONTENT_TYPE)

    async def _origin(self, request: Request) -> Response:
        """For a page that could not connect: its own origin, and what would let it in."""
        origin = request.target.query.get("origin", "")
        if self._entrance.origin_allowed(origin, request.asker):
            return respond(200, b"")
        return respond(200, f'origins = ["{origin[:200]}"]'.encode("ascii", "replace"))

    async def _upgrade(self, request: Request) -> Response:
        response = respond(426, b"a WebSocket is served here\n")
        response.headers["Upgrade"] = "websocket"
        return response
