"""Requests with a body, on the port of the WebSockets, whose library takes none.

A connection whose first bytes are ``POST`` is handed over to :class:`Posts`, which parses by h11,
takes one request, answers and closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import traceback
from collections.abc import AsyncIterator
from typing import Any

import h11
import msgspec
from websockets.datastructures import Headers
from websockets.http11 import Response

from streamer.server.context import Context
from streamer.server.entrance import VERIFY, Entrance
from streamer.server.limits.shares import Client, Shares
from streamer.server.pages import respond
from streamer.server.verify import asked, verify
from streamer.wire.errors import BAD_REQUEST, HTTP_STATUS, WireError
from streamer.wire.messages import Refusal, WhatIsWrong
from streamer.wire.parsing import parse_target

log = logging.getLogger("voxwatch.server")

JSON = "application/json"
READ_BYTES = 1 << 14  # at a time: a body in pieces of a byte takes the loop 40 ms then
HEAD_S = 5.0  # from the connection to all of the request but its body
BODY_S = 30.0  # for the body
PLACE_S = 10.0  # that one waits for others' verdicts
LINGER_S = 2.0  # for a client to read the answer while it is still sending
RETRY_S = 1  # after which to try again, told to whom there was no room for


class Request:
    """One request of a client, its head and then its body."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str
    ) -> None:
        self._reader, self._writer, self.peer = reader, writer, peer
        self._http = h11.Connection(h11.SERVER)
        self.path, self.headers = "", Headers()

    def cut_off(self) -> None:
        """Close its connection at once, without a word."""
        self._writer.transport.abort()

    async def send(self, response: Response) -> None:
        """Answer, and wait until the client has it: it may be sending still what nobody reads."""
        self._writer.write(response.serialize())
        async with asyncio.timeout(LINGER_S):
            await self._writer.drain()
            if self._writer.can_write_eof():
                self._writer.write_eof()
            while await self._reader.read(READ_BYTES):
                pass

    async def read_head(self) -> None:
        """Read all but the body. Raises :class:`WireError`."""
        event = await self._event(HEAD_S)
        if not isinstance(event, h11.Request):
            raise ConnectionError("the client left")
        self.path = event.target.decode("ascii", "replace")
        for name, value in event.headers:
            self.headers[name.decode("ascii")] = value.decode("latin-1")

    async def read_body(self, most: int) -> bytes:
        """Read the body, which a client may hold back until it is asked. Raises `WireError`."""
        too_big = WireError("message-too-big", f"a recording has at most {most} bytes")
        if int(self.headers.get("Content-Length", "0")) > most:
            raise too_big
        if self._http.they_are_waiting_for_100_continue:
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        pieces, size = [], 0
        until = asyncio.get_running_loop().time() + BODY_S
        while isinstance(event := await self._event(until=until), h11.Data):
            pieces.append(bytes(event.data))
            size += len(event.data)
            if size > most:
                raise too_big
        if not isinstance(event, h11.EndOfMessage):
            raise ConnectionError("the client left")
        return b"".join(pieces)

    async def _event(self, within_s: float | None = None, *, until: float | None = None) -> Any:
        """The next part of the request. Raises :class:`WireError`."""
        if within_s is not None:
            until = asyncio.get_running_loop().time() + within_s
        try:
            async with asyncio.timeout_at(until):
                while (event := self._http.next_event()) is h11.NEED_DATA:
                    self._http.receive_data(await self._reader.read(READ_BYTES))
                    await asyncio.sleep(0)
        except TimeoutError as error:
            raise WireError("idle", "the request did not come in time") from error
        except h11.RemoteProtocolError as error:
            raise WireError("bad-message", f"this is no HTTP: {error}") from error
        return event


class Posts:
    """The requests that are under way."""

    def __init__(self, context: Context, entrance: Entrance, tasks: asyncio.TaskGroup) -> None:
        self._context, self._entrance, self._tasks = context, entrance, tasks
        self._places = Shares(context.config.limits.verifications)
        self._given_back = asyncio.Condition()
        self._open: set[asyncio.Task[None]] = set()

    def take_over(self, transport: asyncio.Transport, data: bytes, peer: str) -> None:
        """Go on with a connection that has sent ``data`` so far."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(READ_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        reader.feed_data(data)
        request = Request(reader, writer, peer)
        task = self._tasks.create_task(self._serve(request), name="post")
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def empty(self) -> None:
        """Until none is under way."""
        if self._open:
            await asyncio.wait(self._open)

    def close(self) -> None:
        """End those that are under way."""
        for task in self._open:
            task.cancel()

    async def _serve(self, request: Request) -> None:
        """One connection. Never raises."""
        self._context.crowd.came(request, request.peer)
        try:
            with contextlib.suppress(OSError, TimeoutError):
                response = await self._response(request)
                self._entrance.dress(response, request.peer, request.headers)
                await request.send(response)
        finally:
            self._context.crowd.left(request)
            request.cut_off()

    async def _response(self, request: Request) -> Response:
        try:
            await request.read_head()
            return await self._answer(request)
        except WireError as error:
            return self._refusal(error)
        except OSError:
            raise
        except Exception as error:
            # Where it happened, but not what was said: that could hold a name.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("a request failed: %s\n%s", type(error).__name__, where)
            return self._refusal(WireError("engine-failed", "the server failed: see its log"))

    async def _answer(self, request: Request) -> Response:
        """Whatever can be refused is refused before the body is read."""
        target = parse_target(request.path)
        if target.path != VERIFY:
            return respond(405, b"only GET is answered here\n")
        admit = self._entrance.admit_post
        caller = await admit(request, target, request.headers, request.peer)
        if self._context.draining:
            raise WireError("shutting-down", "the server stops: connect again later")
        self._context.counts.connections[VERIFY] += 1
        question = await asked(self._context, target.query, caller)
        async with self._place(caller.client):
            body = await request.read_body(self._context.config.limits.verify_bytes)
            verdict = await verify(self._context, question, body, caller)
        self._context.counts.verdicts[verdict.state] += 1
        return respond(200, msgspec.json.encode(verdict), JSON)

    @contextlib.asynccontextmanager
    async def _place(self, client: Client) -> AsyncIterator[None]:
        """One of the client's share of the places: who holds bodies back keeps out no other."""
        try:
            async with asyncio.timeout(PLACE_S), self._given_back:
                await self._given_back.wait_for(lambda: self._places.take(client))
        except TimeoutError as error:
            message = "as many recordings as the server takes are being judged: try later"
            raise WireError("overloaded", message) from error
        try:
            yield
        finally:
            self._places.give_back(client)
            async with self._given_back:
                self._given_back.notify_all()

    def _refusal(self, error: WireError) -> Response:
        self._context.counts.errors[error.code] += 1
        log.info("a request was refused: %s", error.code)
        told = Refusal(error=WhatIsWrong(code=error.code, message=str(error)))
        status = HTTP_STATUS.get(error.code, BAD_REQUEST)
        response = respond(status, msgspec.json.encode(told), JSON)
        if error.code == "overloaded" or error.retry_s is not None:
            response.headers["Retry-After"] = str(math.ceil(error.retry_s or RETRY_S))
        return response
