"""`GET /v1/records/STREAM/clips/NUMBER.ogg`: the sound of an incident, for whoever may listen."""

from __future__ import annotations

import time
from collections.abc import Iterator

from websockets.http11 import Response

from streamer.records.book import Book
from streamer.server.context import Context
from streamer.server.http.request import Request
from streamer.server.http.responses import respond
from streamer.server.http.routes import Route
from streamer.server.record_requests import ask_book
from streamer.wire.requests import Role

READERS: frozenset[Role] = frozenset({"monitor", "admin"})
OGG = "audio/ogg; codecs=opus"


class Clips:
    """Its route. Who listens is noted in the record and in the register."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> Iterator[Route]:
        """For whoever may look at streams."""
        path = "/v1/records/{stream}/clips/{incident}.ogg"
        yield Route("GET", path, self._answer, READERS)

    async def _answer(self, request: Request) -> Response:
        """``incident`` is the number of an incident, or its id, percent-encoded."""
        stream, asked = request.fields["stream"], request.fields["incident"]
        incident = asked if "/" in asked else f"{stream}/{asked}"
        ogg: bytes = await ask_book(self._context, Book.clip, stream, incident)
        if request.method != "HEAD":
            now, who = round(time.time(), 3), request.caller.grant.who
            await ask_book(self._context, Book.listen, stream, incident, who, now)
        response = respond(200, ogg, OGG)
        name = f"{stream}-{incident.rpartition('/')[2]}.ogg"
        response.headers["Content-Disposition"] = f'inline; filename="{name}"'
        return response
