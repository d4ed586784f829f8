"""The server: one port for streams, enrolment, monitors, control, the dashboard and probes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
import traceback
from functools import partial
from typing import Self, cast

from websockets.asyncio.server import Server as Listener
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from engine.errors import VoxwatchError
from streamer.config import Config, Mqtt, check_exposure
from streamer.server import metrics
from streamer.server.auth import origin_allowed
from streamer.server.connection import Connection
from streamer.server.context import assemble, tls_context
from streamer.server.control import Control
from streamer.server.enroll import enroll
from streamer.server.monitor import monitor
from streamer.server.pages import Pages, dashboard_folder, respond
from streamer.server.streams import Streams
from streamer.store.errors import StoreError
from streamer.wire import errors
from streamer.wire.errors import WireError
from streamer.wire.parsing import Target, parse_target
from streamer.wire.requests import Role

log = logging.getLogger("voxwatch.server")

STREAM, ENROLL, MONITOR, CONTROL = "/v1/stream", "/v1/enroll", "/v1/monitor", "/v1/control"
NEEDED: dict[str, Role | None] = {
    STREAM: "stream",
    ENROLL: "enrol",
    MONITOR: "monitor",
    CONTROL: None,  # each request needs its own
}
# Messages that wait in the library, beyond what the kernel holds: the rest of the flow control
# is the engine's.
QUEUED_MESSAGES = 4
WATCH_S = 1.0  # between two looks at whether the store has changed
PURGE_S = 60.0  # between two looks at whose time has run out


class Server:
    """An async context manager; it listens from its start and drains at its end.

    ``ping_s``: how long a silent connection is trusted, and how long its answer may take.
    ``drain_s``: how long streams have to tell what they know at the end.
    """

    def __init__(self, config: Config, *, ping_s: float = 20.0, drain_s: float = 5.0) -> None:
        self._config, self._ping_s, self._drain_s = config, ping_s, drain_s
        self._stack = contextlib.AsyncExitStack()
        self._listener: Listener

    async def __aenter__(self) -> Self:
        check_exposure(self._config)
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._drain()
        finally:
            await self._stack.aclose()

    @property
    def port(self) -> int:
        """The port it listens on, also where the configuration says any."""
        return int(next(iter(self._listener.sockets)).getsockname()[1])

    @property
    def url(self) -> str:
        """The dashboard's address, from which clients find everything else."""
        host = f"[{self._config.host}]" if ":" in self._config.host else self._config.host
        return f"{'https' if self._config.tls_cert else 'http'}://{host}:{self.port}"

    async def serve_until(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set."""
        await stop.wait()

    # Start and end.

    async def _open(self) -> None:
        enter = self._stack
        self.context = await assemble(self._config, enter)
        tasks = await enter.enter_async_context(asyncio.TaskGroup())
        self.streams = Streams(self.context, tasks)
        self._metrics = metrics.Metrics(self.context, self.streams)
        self._pages = await asyncio.to_thread(lambda: Pages(dashboard_folder()))
        for work in (self._watch(), self._purge()):
            enter.callback(tasks.create_task(work).cancel)  # before the group is waited for
        if self._config.mqtt:
            await self._publish(self._config.mqtt, tasks)
        self._listener = await self._listen()

    async def _publish(self, mqtt: Mqtt, tasks: asyncio.TaskGroup) -> None:
        from streamer.server.mqtt import (  # only who has a broker loads the client
            LAST_WORDS_S,
            Publisher,
        )

        publisher = Publisher(mqtt, self.context.hub, limit=self._config.limits.outbox)
        publishing = tasks.create_task(publisher.run(), name="mqtt")

        async def end() -> None:
            publisher.stop()
            await asyncio.wait([publishing], timeout=LAST_WORDS_S)
            publishing.cancel()

        self._stack.push_async_callback(end)

    async def _listen(self) -> Listener:
        config = self._config
        library_log = logging.getLogger("voxwatch.websockets")
        # Besides WebSockets there are pages being fetched, and handshakes that never end.
        sockets = 2 * config.limits.connections
        library_log.setLevel(logging.CRITICAL)  # its lines hold addresses, and with them tokens
        try:
            return await serve(
                self._handle,
                config.host,
                config.port,
                ssl=tls_context(config),
                process_request=self._admit,
                create_connection=cast(
                    type[ServerConnection], partial(Connection, sockets=sockets)
                ),
                compression=None,  # sound does not shrink by it, and it costs more than the rest
                max_size=config.limits.message_bytes,
                max_queue=QUEUED_MESSAGES,
                ping_interval=self._ping_s,
                ping_timeout=self._ping_s,
                close_timeout=3,
                open_timeout=config.limits.start_s,
                server_header=None,
                logger=library_log,
            )
        except OSError as error:
            place = f"{config.host}:{config.port}"
            message = f"cannot listen on {place} ({_reason(error)}): choose another port, or host"
            raise VoxwatchError(message) from error

    async def _drain(self) -> None:
        """Take nothing new; let streams tell what they know; close with 1001."""
        self.context.draining = True
        self._listener.server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_s):
                await self.streams.retire()
                await self.streams.empty()
        self._listener.close(code=errors.GOING_AWAY, reason="shutting-down")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_s):
                await asyncio.shield(self._listener.wait_closed())
        for connection in list(self._listener.all_connections):
            connection.transport.abort()
        for stream in self.streams.all():
            self.streams.remove(stream, errors.GOING_AWAY)
        await self._listener.wait_closed()

    async def _watch(self) -> None:
        """Streams follow the store, whichever process changes it, and whoever noticed first."""
        enrolled, followed = self.context.enrolled, self.context.enrolled.generation
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                await asyncio.to_thread(enrolled.refresh)
                if (generation := enrolled.generation) != followed:
                    await self.streams.renew()
                    followed = generation
            except (StoreError, WireError):
                log.warning("the store cannot be read just now")

    async def _purge(self) -> None:
        while True:
            await asyncio.sleep(PURGE_S)
            try:
                await asyncio.to_thread(self.context.store.purge, time.time())
            except StoreError:
                log.warning("the store cannot be written just now")

    # Requests.

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to a GET, or None for a WebSocket that may be opened."""
        assert isinstance(connection, Connection)
        if request.method not in ("GET", "HEAD"):
            return respond(405, b"only GET is answered here\n")
        try:
            target = parse_target(request.path)
        except WireError as error:
            return self._refuse(400, error.code, str(error))
        headers = request.headers
        host = headers.get("Host", "")
        if target.path not in NEEDED:
            page = self._page(target.path, _bearer(request), host)
            page.body = b"" if request.method == "HEAD" else page.body
            return page
        if not origin_allowed(headers.get("Origin"), host, self._config.origins):
            return self._refuse(403, "forbidden-origin", "pages of this origin may not connect")
        roles = self._roles(target, _bearer(request))
        needed = NEEDED[target.path]
        if needed is not None and needed not in roles:
            return self._refuse(401, "unauthorised", f"this needs a token with the role {needed}")
        if len(self._listener.all_connections) >= self._config.limits.connections:
            return self._refuse(503, "overloaded", "the server has all the connections it takes")
        connection.target, connection.roles = target, roles
        return None

    def _roles(self, target: Target, bearer: str | None) -> frozenset[Role]:
        auth = self.context.auth
        roles = auth.roles_of(bearer)
        if target.token is not None and auth.required:
            roles |= auth.redeem(target.token, time.monotonic())
        return roles

    def _refuse(self, status: int, code: str, message: str) -> Response:
        self.context.counts.errors[code] += 1
        log.info("a connection was refused: %s", code)
        return respond(status, f"{code}: {message}\n".encode())

    def _page(self, path: str, bearer: str | None, host: str) -> Response:
        if path == "/healthz":
            return respond(200, b"ok\n")
        if path == "/readyz":
            draining = self.context.draining
            return respond(503 if draining else 200, b"draining\n" if draining else b"ready\n")
        if path == "/metrics":
            if not (self.context.auth.required or self._is_ours(host)):
                return self._refuse(403, "forbidden-origin", "no page of this name may read this")
            if not self.context.auth.roles_of(bearer) & {"monitor", "admin"}:
                return self._refuse(401, "unauthorised", "this needs a token: role monitor")
            return respond(200, self._metrics.text(), metrics.CONTENT_TYPE)
        return self._pages.get(path, host)

    def _is_ours(self, host: str) -> bool:
        """Whether a page of the host that a request names could be our own: see auth."""
        return origin_allowed(f"http://{host}", host, self._config.origins)

    async def _handle(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Connection)
        target = connection.target
        counts, number = self.context.counts, connection.number
        counts.connections[target.path] += 1
        log.info("connection %s opened: %s", number, target.path)
        try:
            await self._converse(connection, target)
            await connection.part()
        except ConnectionClosed:
            pass
        except WireError as error:
            counts.errors[error.code] += 1
            log.info("connection %s refused: %s", number, error.code)
            await connection.part(error.close_code, error.code, error)
        except Exception as error:
            # Where it happened, but not what was said: that could hold a name.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("connection %s failed: %s\n%s", number, type(error).__name__, where)
            failure = WireError("engine-failed", "the server failed: see its log")
            await connection.part(failure.close_code, failure.code, failure)
        finally:
            log.info("connection %s closed: %s", number, connection.close_code)

    async def _converse(self, connection: Connection, target: Target) -> None:
        match target.path:
            case "/v1/stream":
                await self.streams.serve(connection, target)
            case "/v1/enroll":
                await enroll(self.context, connection)
            case "/v1/monitor":
                await monitor(self.context, self.streams, connection, target)
            case _:
                await Control(self.context, self.streams, connection.roles).serve(connection)


def _reason(error: OSError) -> str:
    """Why, in the system's words: asyncio puts the address into its own, as a tuple."""
    if error.errno is not None and error.errno > 0:  # failed look-ups of names have others
        return os.strerror(error.errno)
    return error.strerror or str(error)


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
