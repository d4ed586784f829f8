"""Where connections come from: the port, or another process that has accepted them."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

from websockets.asyncio.server import Server as Listener
from websockets.asyncio.server import ServerConnection, serve
from websockets.server import ServerProtocol

from engine.errors import VoxwatchError
from streamer.config import Config
from streamer.server.connection import Connection
from streamer.server.context import Context
from streamer.server.door import Door, Handshake
from streamer.server.entrance import Entrance
from streamer.server.http.service import Service
from streamer.server.limits.turns import Turns

CLOSE_S = 3.0  # for a client's half of the closing handshake


class HandedOver(Connection):
    """A connection that another process accepted, and is told when it is ``gone``."""

    def __init__(self, *args: Any, gone: Callable[[], None], **options: Any) -> None:
        super().__init__(*args, **options)
        self._gone = gone

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone, or another's."""
        super().connection_lost(exc)
        self._gone()


class Listening:
    """The server's port. Of several workers each has a Unix socket instead, for the others.

    ``handle`` serves a WebSocket, ``entrance`` says who may open one, ``plain`` takes the rest.
    """

    def __init__(
        self,
        context: Context,
        handle: Callable[[ServerConnection], Awaitable[None]],
        entrance: Entrance,
        plain: Service,
        ping_s: float,
    ) -> None:
        self._context, self._handle, self._entrance = context, handle, entrance
        self._tls = _tls_context(context.config)
        self._log = logging.getLogger("voxwatch.websockets")
        self._log.setLevel(logging.CRITICAL)  # its lines hold addresses, and with them tokens
        self._connection = partial(
            Connection, crowd=context.crowd, turns=Turns(), plain=plain.take_over
        )
        self._timing: dict[str, Any] = {
            "ping_interval": ping_s,
            "ping_timeout": ping_s,
            "close_timeout": CLOSE_S,
        }
        self._listener: Listener

    async def open(self) -> Listener:
        """Listen. Raises :class:`VoxwatchError` where that cannot be."""
        config, path = self._context.config, self._context.peers.path
        place: dict[str, Any] = {"host": config.host, "port": config.port}
        if path is not None:
            place = {"unix": True, "path": path}
        try:
            self._listener = await serve(
                self._handle,
                **place,
                process_request=self._entrance.admit,
                process_response=self._entrance.finish,
                create_connection=cast(type[ServerConnection], self._maker(path is not None)),
                compression=None,  # sound does not shrink by it, and it costs more than the rest
                max_size=config.limits.message_bytes,
                open_timeout=config.limits.start_s,
                server_header=None,
                logger=self._log,
                **self._timing,
            )
        except OSError as error:
            where = path or f"{config.host}:{config.port}"
            message = f"cannot listen on {where} ({reason(error)}): choose another port, or host"
            raise VoxwatchError(message) from error
        return self._listener

    def _maker(self, of_worker: bool) -> Callable[..., asyncio.Protocol]:
        """Makes what stands at our end of a new socket."""
        crowd, tls = self._context.crowd, self._tls
        made = partial(self._connection, of_worker=of_worker)
        if tls is None or of_worker:
            return made
        return lambda *a, **named: Door(made(*a, **named), tls, crowd)

    async def take(self, accepted: socket.socket, gone: Callable[[], None]) -> None:
        """Serve a connection that another process has accepted; ``gone`` is called at its end."""
        limits, options = self._context.config.limits, self._connection.keywords
        protocol = ServerProtocol(max_size=limits.message_bytes, logger=self._log)
        connection = HandedOver(protocol, self._listener, gone=gone, **self._timing, **options)
        if self._tls is not None:
            Handshake(connection, accepted, self._tls, self._context.crowd, failed=gone)
            return
        try:
            loop = asyncio.get_running_loop()
            await loop.connect_accepted_socket(lambda: connection, accepted)
        except OSError:  # the client left
            accepted.close()
            gone()


def reason(error: OSError) -> str:
    """Why, in the system's words: asyncio puts the address into its own, as a tuple."""
    if error.errno is not None and error.errno > 0:  # failed look-ups of names have others
        return os.strerror(error.errno)
    return error.strerror or str(error)


def _tls_context(config: Config) -> ssl.SSLContext | None:
    """What the server shows its callers, if it is to speak TLS. Raises :class:`VoxwatchError`."""
    if config.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        why = f"{config.tls_cert} and {config.tls_key} cannot be used for TLS"
        raise VoxwatchError(f"{why}: {error.strerror or error}") from error
    return context
