"""A client comes back for a session that another worker has: its messages are passed on."""

from __future__ import annotations

from typing import NoReturn

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from streamer.server.connection import Connection
from streamer.server.workers.peers import GONE, Peers
from streamer.tasks import beside
from streamer.wire.errors import WireError
from streamer.wire.requests import StartStream

ABNORMAL = 1006  # RFC 6455, section 7.1.5: closed without a word


async def relay(peers: Peers, owner: int, connection: Connection, start: StartStream) -> None:
    """Pass on what either side says, until one of them has ended it.

    Raises :class:`WireError` where the other worker is gone, and the session with it.
    """
    try:
        other = await peers.call(owner, connection.target.path, connection.caller.client)
    except GONE as error:
        raise WireError("unknown-session", "that session is over: start a new stream") from error
    try:
        resume = {"type": "start", "session": start.session, "resume_from": start.resume_from}
        await other.send(msgspec.json.encode(resume), text=True)
        await beside(_down(other, connection), _up(connection, other))
    except ConnectionClosed:
        pass
    finally:
        await _end(connection, other)


async def _down(other: ClientConnection, connection: Connection) -> NoReturn:
    while True:
        await connection.say([await other.recv(decode=False)])


async def _up(connection: Connection, other: ClientConnection) -> NoReturn:
    while True:
        await other.send(await connection.hear())


async def _end(connection: Connection, other: ClientConnection) -> None:
    """Each side learns how the other has ended: one that was lost may come back."""
    if connection.left:
        await other.close()
    elif (code := other.close_code) is not None and code != ABNORMAL:
        await connection.close(code, other.close_reason or "")
    other.transport.abort()
    await other.wait_closed()
