"""Ports for servers that have to be told one before they listen."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

# Below those that systems give away by themselves. One of these might be given to another test,
# or to a connection of it, before the server that it is for has started.
FIRST, LAST = 20_000, 32_000


def free_port() -> int:
    """A port of this machine at which nobody listens."""
    while True:
        port = FIRST + secrets.randbelow(LAST - FIRST)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
