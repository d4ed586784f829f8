"""The server: one port for streams, enrolment, monitors, control, the dashboard and probes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

from websockets.asyncio.server import Server as Listener
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from streamer.config import Config, check_exposure
from streamer.server.assembly import assemble
from streamer.server.auth import Token
from streamer.server.connection import Connection, revoked
from streamer.server.control import Control
from streamer.server.disuse import purge
from streamer.server.enroll import enroll
from streamer.server.entrance import CALLS, Entrance
from streamer.server.http.pages import Pages, dashboard_folder
from streamer.server.http.service import Service
from streamer.server.http.table import all_routes
from streamer.server.listening import Listening
from streamer.server.memory import give_back
from streamer.server.metrics import Metrics
from streamer.server.monitor import monitor
from streamer.server.openedx import open_edx
from streamer.server.reading import begin, begin_call
from streamer.server.record_upkeep import keep_up
from streamer.server.streams import Streams
from streamer.server.token_terms import warn_of_tokens
from streamer.server.viewings import note_viewings
from streamer.server.workers.answers import answer_peer
from streamer.server.workers.peers import PEER, Peers
from streamer.store.errors import StoreError
from streamer.tasks import beside
from streamer.wire import errors
from streamer.wire.errors import WireError
from streamer.wire.parsing import Target

if TYPE_CHECKING:
    from streamer.server.lti import LtiService

log = logging.getLogger("voxwatch.server")

CLOSE_S = 3.0  # for a client's half of the closing handshake
TIDY_S = 5.0  # between two looks at whether memory can be given back
MANY = 32  # connections that are gone, or
MUCH_BYTES = 1 << 23  # bytes of messages, after which there is some to give back
WATCH_S = 1.0  # between two looks at whether the store has changed
CHECK_EVERY = 10  # of these also read the whole of it
INCIDENTS_S = 1.0  # between two looks at what has lasted too long
PURGE_S = 60.0  # between two looks at whose time has run out


class Server:
    """An async context manager; it listens from its start and drains at its end.

    ``ping_s``: how long a silent connection is trusted, and how long its answer may take.
    ``drain_s``: how long streams have to tell what they know at the end. With ``peers`` it is one
    of several workers, and its clients' connections are handed over to it (:meth:`take`).
    ``tokens`` is called in a thread every second: the tokens to know from now on, or None while
    they are as they were.
    """

    def __init__(
        self,
        config: Config,
        *,
        ping_s: float = 20.0,
        drain_s: float = 5.0,
        peers: Peers | None = None,
        tokens: Callable[[], Sequence[Token] | None] = lambda: None,
    ) -> None:
        self._new_tokens = tokens
        self._config, self._ping_s, self._drain_s = config, ping_s, drain_s
        self._peers = peers or Peers()
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
        return address(self._config, self.port)

    async def serve_until(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set."""
        await stop.wait()

    # Start and end.

    async def _open(self) -> None:
        enter = self._stack
        self.context = await assemble(self._config, self._peers, enter)
        tasks = await enter.enter_async_context(asyncio.TaskGroup())
        self.streams = Streams(self.context, tasks)
        pages = await asyncio.to_thread(lambda: Pages(dashboard_folder()))
        self._entrance = Entrance(self.context)
        metrics = Metrics(self.context, self.streams)
        edx = await asyncio.to_thread(open_edx, self.context, self.streams)
        lti = await self._lti() if self._config.lti else None
        routes = all_routes(self.context, self._entrance, pages, metrics, edx, lti)
        self._plain = Service(self.context, self._entrance, routes, tasks)
        for work in (
            self._watch(),
            self._purge(),
            keep_up(self.context),
            note_viewings(self.context),
            self._tidy(),
            self._pass_time(),
            self._follow_tokens(),
            *([warn_of_tokens(self.context.auth)] if self._peers.number == 1 else []),
            self.streams.admission.measure(),
            *([edx.deliver()] if edx and self._peers.number == 1 else []),
            *([lti.deliver()] if lti and self._peers.number == 1 else []),
            *([lti.follow()] if lti else []),
        ):
            enter.callback(tasks.create_task(work).cancel)  # before the group is waited for
        if self._config.mqtt:
            from streamer.server.mqtt.beginning import publish  # only who has a broker loads it

            publish(self._config.mqtt, self.context, tasks, self._stack)
        self._listening = Listening(
            self.context, self._handle, self._entrance, self._plain, self._ping_s
        )
        self._listener = await self._listening.open()

    async def _lti(self) -> LtiService | None:
        from streamer.server.lti import open_lti  # only who has platforms loads the library

        return await asyncio.to_thread(open_lti, self.context)

    async def take(self, accepted: socket.socket, gone: Callable[[], None]) -> None:
        """Serve a connection that another process has accepted; ``gone`` is called at its end."""
        await self._listening.take(accepted, gone)

    async def _drain(self) -> None:
        """Take nothing new; let streams tell what they know; close with 1001."""
        self.context.draining = True
        self._listener.server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_s):
                await self.streams.retire()
                await self.streams.empty()
                await self._plain.empty()
        self._plain.close()
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
        context, followed = self.context, self.context.enrolled.generation
        for second in itertools.count():
            await asyncio.sleep(WATCH_S)
            try:
                await asyncio.to_thread(context.enrolled.refresh)
                await context.seats.refreshed()
                await self.streams.follow_seats(time.time())
                if second % CHECK_EVERY == 0 or not context.store_sound:
                    await asyncio.to_thread(context.store.check)
                if (generation := context.enrolled.generation) != followed:
                    await self.streams.renew()
                    followed = generation
                context.store_sound = True
            except (StoreError, WireError):
                if context.store_sound:
                    log.warning("the store cannot be read just now: claims go on as they are")
                context.store_sound = False

    async def _pass_time(self) -> None:
        """Tell streams how late it is: of silence and of lost connections nobody says anything."""
        while True:
            await asyncio.sleep(INCIDENTS_S)
            now = round(time.time(), 3)
            self.context.wakefulness.look(now)
            for stream in self.streams.all():
                stream.pass_time(now)

    async def _purge(self) -> None:
        while True:
            await asyncio.sleep(PURGE_S)
            try:
                await purge(self.context)
            except StoreError:
                log.warning("the store cannot be written just now")

    async def _follow_tokens(self) -> None:
        """End the connections of tokens that have expired or were taken out."""
        auth = self.context.auth
        while True:
            await asyncio.sleep(WATCH_S)
            if (tokens := await asyncio.to_thread(self._new_tokens)) is not None:
                auth.replace(tokens)
                log.info("the tokens were read again")
            for connection in list(self._listener.all_connections):
                assert isinstance(connection, Connection)
                held = auth.still_holds(connection.caller.grant, time.time())
                if not (held or connection.of_worker):
                    connection.revoked.set()
                    self.streams.fail_on(connection, revoked())

    async def _tidy(self) -> None:
        """Give memory back once many have left, and say who was cut off."""
        crowd, told = self.context.crowd, 0
        while True:
            await asyncio.sleep(TIDY_S)
            if crowd.cut.total() > told:
                reasons = ", ".join(f"{why} {count}" for why, count in sorted(crowd.cut.items()))
                log.warning("connections were cut off, so far: %s", reasons)
                told = crowd.cut.total()
            if crowd.left_since >= MANY or crowd.peak >= MUCH_BYTES:
                crowd.left_since = crowd.peak = 0
                await asyncio.to_thread(give_back)

    # Requests.

    async def _handle(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Connection)
        target = connection.target
        counts, number = self.context.counts, connection.number
        # Other workers come with every look at the figures: that is no news.
        level = logging.DEBUG if target.path == PEER else logging.INFO
        counts.connections[target.path] += 1
        log.log(level, "connection %s opened: %s", number, target.path)
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
            log.log(level, "connection %s closed: %s", number, connection.close_code)

    async def _converse(self, connection: Connection, target: Target) -> None:
        match target.path:
            case "/v1/stream":
                beginning = await begin(connection, target, self._config.limits)
                await self.streams.serve(connection, beginning)
            case _ if target.path in CALLS:
                recognise = self._entrance.recognise
                beginning = await begin_call(connection, target, self._config.limits, recognise)
                await self.streams.serve(connection, beginning)
            case "/v1/enroll":
                await beside(enroll(self.context, connection), connection.revocation())
            case _ if target.path == PEER:
                await answer_peer(self.context, self.streams, connection)
            case "/v1/monitor":
                watching = monitor(self.context, self.streams, connection, target)
                await beside(watching, connection.revocation())
            case _:
                control = Control(self.context, self.streams, connection)
                await beside(control.serve(), connection.revocation())


def address(config: Config, port: int) -> str:
    """The address of a server on that port."""
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"{'https' if config.tls_cert else 'http'}://{host}:{port}"
