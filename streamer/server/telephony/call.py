"""The connection of a telephone call: what comes on it, translated, and how it ends."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from websockets.exceptions import ConnectionClosed

from streamer.server.connection import Connection
from streamer.server.intake import Said
from streamer.wire.requests import Finalize

Translate = Callable[[str | bytes], list[Said]]


class CallReader:
    """Reads a call by ``translate``. Its end is that of the sound, also where only the socket ends.

    A telephone system is ``told`` nothing but where somebody else stands between it and us: it
    would take every message of ours for a command.
    """

    def __init__(self, connection: Connection, translate: Translate, *, told: bool = False) -> None:
        self.told = told
        self._connection, self._translate = connection, translate
        self._said: deque[Said] = deque()  # translated, and not taken yet: of one message
        self._over = False

    async def read(self) -> Said:
        """What comes next. Raises :class:`WireError`, ``ConnectionClosed`` for a lost call."""
        while not self._said:
            self._said.extend(await self._hear())
        return self._said.popleft()

    async def _hear(self) -> list[Said]:
        if self._over:
            await asyncio.get_running_loop().create_future()  # until all has been told
        try:
            return self._translate(await self._connection.hear())
        except ConnectionClosed:
            if not self._connection.left:
                raise
            self._over = True
            return [Finalize()]
