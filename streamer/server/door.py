"""The TLS handshake of a socket, which counts among the strangers from its first moment.

The event loop's own servers hand a connection over once its handshake is done. Until then nobody
would count it, and sockets that never begin one would take all the descriptors there are. So the
server accepts without TLS, and the socket goes through the handshake here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable
from typing import cast

from streamer.server.connection import REQUEST_S, Connection
from streamer.server.limits.crowd import Crowd


class Handshake:
    """That of one socket, which is given to ``inside``; ``failed`` is called where it fails."""

    def __init__(
        self,
        inside: Connection,
        accepted: socket.socket,
        tls: ssl.SSLContext,
        crowd: Crowd,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._inside, self._socket, self._tls = inside, accepted, tls
        self._crowd, self._failed = crowd, failed
        self._opening = asyncio.get_running_loop().create_task(self._open())
        self._opening.add_done_callback(self._over)
        crowd.came(self, _peer(accepted))

    def cut_off(self) -> None:
        """Close it at once, without a word."""
        self._opening.cancel()

    async def _open(self) -> bool:
        """Whether the client has shaken hands."""
        with contextlib.suppress(OSError, EOFError):  # no handshake, or no TLS at all
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._inside,
                self._socket,
                ssl=self._tls,
                ssl_handshake_timeout=REQUEST_S,
            )
            return True
        return False

    def _over(self, opening: asyncio.Task[bool]) -> None:
        self._crowd.left(self)
        if opening.cancelled() or not opening.result():
            self._socket.close()
            self._failed()


class Door(asyncio.Protocol):
    """Takes a socket that the server has accepted, and lets the client shake hands."""

    def __init__(self, inside: Connection, tls: ssl.SSLContext, crowd: Crowd) -> None:
        self._inside, self._tls, self._crowd = inside, tls, crowd

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket, of which nothing has been read: another transport takes it, over TLS."""
        accepted = transport.get_extra_info("socket")
        own = socket.socket(fileno=os.dup(accepted.fileno()))
        own.setblocking(False)
        cast(asyncio.Transport, transport).abort()
        Handshake(self._inside, own, self._tls, self._crowd)


def _peer(accepted: socket.socket) -> str:
    """The address at the other end; empty where it has gone already."""
    with contextlib.suppress(OSError):
        return str(accepted.getpeername()[0])
    return ""
