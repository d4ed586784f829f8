"""Noticing that nobody is at the other end of a connection any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed


class Silence(Exception):
    """The connection is half open: the other side answers nothing."""


async def watch(
    connection: ClientConnection,
    *,
    interval_s: float,
    timeout_s: float,
    listening: Callable[[], bool],
) -> None:
    """Raise :class:`Silence` once a ping stays unanswered, or cannot even be sent.

    While we are not ``listening``, no answer means nothing. websockets' own keepalive waits
    for ever where its ping finds the socket full. Ends when the connection has closed.
    """
    with suppress(ConnectionClosed):
        while True:
            await asyncio.sleep(interval_s)
            try:
                async with asyncio.timeout(timeout_s):
                    await (await connection.ping())
            except TimeoutError:
                if listening():
                    raise Silence from None
