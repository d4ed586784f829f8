"""How the workers of a server talk to each other: by the server's own protocol, on Unix sockets.

Each worker listens on a socket of its own in a folder that only this user can enter. Whoever
connects there is another worker, and is trusted. It asks (:meth:`Peers.ask`), it follows the
streams (:mod:`streamer.server.workers.following`), or it passes on a connection whose session is
another's (:mod:`streamer.server.workers.relay`).
"""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.asyncio.client import connect as Call
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from streamer.server.limits.shares import Client

PEER = "/peer"  # what a worker is asked at; outside it is no address
CLIENT = "X-Voxwatch-Client"  # whom a worker speaks for, as JSON
ANSWER_S = 5.0
GONE = (OSError, InvalidHandshake, ConnectionClosed, EOFError)  # that worker is not there


class Peers:
    """This worker's ``number``, from 1, of ``count``, and the way to the others.

    A server of one process is the only one of its kind: there is nobody to ask.
    """

    def __init__(self, number: int = 1, count: int = 1, folder: Path | None = None) -> None:
        self.number, self.count, self._folder = number, count, folder

    @property
    def path(self) -> str | None:
        """Where this worker listens for the others; None for a server of one process."""
        return None if self._folder is None else self._path(self.number)

    @property
    def others(self) -> list[int]:
        """The numbers of the other workers."""
        return [n for n in range(1, self.count + 1) if n != self.number]

    def secret(self) -> str:
        """A new secret, which tells whose it is: of a session, or a token."""
        return f"{self.number}.{secrets.token_urlsafe(32)}"

    def owner(self, secret: str) -> int:
        """The worker whose secret that is. This one for what is no secret of any."""
        number, dot, _ = secret.partition(".")
        others = {str(n): n for n in self.others}
        return others.get(number, self.number) if dot else self.number

    def call(self, number: int, target: str, client: Client = ()) -> Call:
        """A connection to another worker. Opening it raises one of ``GONE``."""
        call: Call = unix_connect(
            self._path(number),
            f"ws://worker{target}",
            additional_headers={CLIENT: json.dumps(client)},
            compression=None,
            max_size=None,  # what another worker says is as long as it has to be
            ping_interval=None,
            open_timeout=ANSWER_S,
            close_timeout=ANSWER_S,
        )
        return call

    async def ask(self, kind: str, **fields: Any) -> list[Any]:
        """What all others answer, but for those that are not there: they are started again."""
        asked = [self.ask_one(number, kind, **fields) for number in self.others]
        answers = await asyncio.gather(*asked)
        return [answer for answer in answers if answer is not None]

    async def ask_one(self, number: int, kind: str, **fields: Any) -> Any:
        """What one of them answers; None where it is not there."""
        try:
            async with asyncio.timeout(ANSWER_S), self.call(number, PEER) as connection:
                return await _answer(connection, {"type": kind, **fields})
        except (*GONE, TimeoutError):
            return None

    def _path(self, number: int) -> str:
        assert self._folder is not None
        return str(self._folder / str(number))


async def _answer(connection: ClientConnection, asked: dict[str, Any]) -> Any:
    await connection.send(msgspec.json.encode(asked), text=True)
    return msgspec.json.decode(await connection.recv())
