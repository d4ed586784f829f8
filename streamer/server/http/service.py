"""Answers plain HTTP: takes a connection over, finds the route, lets in, answers and closes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback

from websockets.http11 import Response

from streamer.server.context import Context
from streamer.server.entrance import Entrance
from streamer.server.http.request import READ_BYTES, Request
from streamer.server.http.responses import refuse
from streamer.server.http.routes import Route, Routes, WrongMethodError
from streamer.wire.errors import WireError
from streamer.wire.parsing import parse_target

log = logging.getLogger("voxwatch.server")

METHOD = 8  # characters of a method that are logged, which a client may invent


class Service:
    """The requests that are under way."""

    def __init__(
        self, context: Context, entrance: Entrance, routes: Routes, tasks: asyncio.TaskGroup
    ) -> None:
        self._context, self._entrance, self._tasks = context, entrance, tasks
        self._routes = routes
        self._open: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._open)

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
        task = self._tasks.create_task(self._serve(request), name="request")
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
            request.held.close()

    async def _response(self, request: Request) -> Response:
        route: Route | None = None
        told = ""
        try:
            await request.read_head()
            route, request.fields = self._routes.find(request.method, request.path)
            response = await self._answer(request, route)
        except WireError as error:
            response, told = self._refuse(error), error.code
        except OSError:
            raise
        except Exception as error:
            # Where it happened, but not what was said: that could hold a name.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("a request failed: %s\n%s", type(error).__name__, where)
            failed = WireError("engine-failed", "the server failed: see its log")
            response, told = self._refuse(failed), failed.code
        self._log(request, route, response.status_code, told)
        return response

    async def _answer(self, request: Request, route: Route) -> Response:
        request.target = parse_target(request.address)
        request.body_bytes = route.body_bytes
        request.asker = self._entrance.asker(request.peer, request.headers, route.path)
        if route.roles is not None:
            request.caller = await self._entrance.admit_request(request, route.roles, route.path)
            if self._context.draining:
                raise WireError("shutting-down", "the server stops: connect again later")
            self._context.counts.connections[route.path] += 1
        return await route.answer(request)

    def _refuse(self, error: WireError) -> Response:
        self._context.counts.errors[error.code] += 1
        response = refuse(error)
        if isinstance(error, WrongMethodError):
            response.headers["Allow"] = error.allowed
        return response

    def _log(self, request: Request, route: Route | None, status: int, told: str) -> None:
        """Neither the address asked for nor that of the client: names stand in both."""
        quiet = route is None or (route.quiet and not told)
        log.log(
            logging.DEBUG if quiet else logging.INFO,
            "%s %s: %d %s, %s",
            request.method[:METHOD] or "no request",
            route.path if route else "no route",
            status,
            told or "ok",
            request.caller.grant.who,
        )
