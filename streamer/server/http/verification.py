"""`POST /v1/verify`: a recording in the body, a verdict in the answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from websockets.http11 import Response

from streamer.server.context import Context
from streamer.server.http.request import Request
from streamer.server.http.responses import respond_json
from streamer.server.http.routes import Route
from streamer.server.limits.shares import Client, Shares
from streamer.server.verify import asked, verify
from streamer.wire.errors import WireError

VERIFY = "/v1/verify"
FORM = "multipart/form-data"  # what `curl -F` sends
PLACE_S = 10.0  # that one waits for others' verdicts


class Verification:
    """Its route, and the places of those that are being judged."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.places = Shares(context.config.limits.verifications)
        self._given_back = asyncio.Condition()

    def routes(self) -> Iterator[Route]:
        """For whoever may stream."""
        most = self._context.config.limits.verify_bytes
        yield Route("POST", VERIFY, self._verify, frozenset({"stream"}), body_bytes=most)

    async def _verify(self, request: Request) -> Response:
        """Whatever can be refused is refused before the body is read."""
        if request.headers.get("Content-Type", "").lower().startswith(FORM):
            raise WireError(
                "wrong-format",
                "the body is a form: send the recording as it is, with curl by"
                " --data-binary @FILE in place of -F",
            )
        caller = request.caller
        question = await asked(self._context, request.target.query, caller)
        async with self._place(caller.client):
            verdict = await verify(self._context, question, await request.body(), caller)
        self._context.counts.verdicts[verdict.state] += 1
        return respond_json(200, verdict)

    @contextlib.asynccontextmanager
    async def _place(self, client: Client) -> AsyncIterator[None]:
        """One of the client's share of the places: who holds bodies back keeps out no other."""
        try:
            async with asyncio.timeout(PLACE_S), self._given_back:
                await self._given_back.wait_for(lambda: self.places.take(client))
        except TimeoutError as error:
            message = "as many recordings as it takes are being judged (limits.verifications)"
            raise WireError("overloaded", message) from error
        try:
            yield
        finally:
            self.places.give_back(client)
            async with self._given_back:
                self._given_back.notify_all()
