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
from typing import cast

from streamer.server.connection import REQUEST_S, Connection
from streamer.server.limits.crowd import Crowd


class Door(asyncio.Protocol):
    """Stands before ``inside`` until the client has shaken hands."""

    def __init__(self, inside: Connection, tls: ssl.SSLContext, crowd: Crowd) -> None:
        self._inside, self._tls, self._crowd = inside, tls, crowd

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket, of which nothing has been read: another transport takes it, over TLS."""
        peer = transport.get_extra_info("peername")
        accepted = transport.get_extra_info("socket")
        self._socket = socket.socket(fileno=os.dup(accepted.fileno()))
        self._socket.setblocking(False)
        cast(asyncio.Transport, transport).abort()
        self._opening = asyncio.get_running_loop().create_task(self._open())
        self._crowd.came(self, str(peer[0]) if isinstance(peer, tuple) else str(peer))

    def cut_off(self) -> None:
        """Close it at once, without a word."""
        self._opening.cancel()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            with contextlib.suppress(OSError, EOFError):  # no handshake, or no TLS at all
                await loop.connect_accepted_socket(
                    lambda: self._inside,
                    self._socket,
                    ssl=self._tls,
                    ssl_handshake_timeout=REQUEST_S,
                )
                return
            self._socket.close()
        except asyncio.CancelledError:
            self._socket.close()
        finally:
            self._crowd.left(self)
