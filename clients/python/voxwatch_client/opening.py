"""Opening a stream's connections: the first one, and those on which a dropped session goes on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from voxwatch_client import messages, reading
from voxwatch_client.connection import (
    OPEN_TIMEOUT_S,
    break_off,
    hang_up,
    lost,
)
from voxwatch_client.errors import ConnectionFailed, ServerError

FIRST_DELAY_S, LONGEST_DELAY_S = 0.1, 5.0  # between attempts to regain a session

Ready = TypeVar("Ready", messages.Ready, messages.EnrollReady)


class Opener(Generic[Ready]):
    """Dials with ``call``, says the start, and waits for a ``ready`` of type ``kind``.

    Raises :class:`ConnectionFailed` where that cannot be, :class:`ServerError` for a refusal.
    """

    def __init__(
        self,
        call: Callable[[], Awaitable[ClientConnection]],
        start: messages.StartStream | messages.StartEnroll,
        decode: Callable[[str | bytes], Any],
        kind: type[Ready],
    ) -> None:
        self.start, self.decode = start, decode
        self._call = call
        self._kind: type[Ready] = kind

    async def open(self) -> tuple[ClientConnection, Ready]:
        """The first connection, and what the server said on it."""
        return await self._opened(given(self.start))

    async def regain(
        self, session: str, resume_from: int, within_s: float
    ) -> tuple[ClientConnection, Ready]:
        """Another connection on which the session goes on, while the server still holds it."""
        resume = {"session": session, "resume_from": resume_from}
        loop = asyncio.get_running_loop()
        give_up, delay_s = loop.time() + within_s, FIRST_DELAY_S
        while True:
            await asyncio.sleep(delay_s * random.uniform(0.5, 1))  # not all clients at once
            try:
                return await self._opened(resume)
            except (ConnectionFailed, ServerError) as error:
                if not _may_pass(error):
                    raise
                if loop.time() > give_up:
                    message = f"the connection was lost and not regained within {within_s:g} s"
                    raise ConnectionFailed(f"{message}: {error}") from error
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)

    async def _opened(self, start: dict[str, Any]) -> tuple[ClientConnection, Ready]:
        connection = await self._call()
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await connection.send(msgspec.json.encode({"type": "start", **start}).decode())
                first = self.decode(await connection.recv())
            if reading.is_last(first):
                raise ServerError(first.code, first.message)
            if not isinstance(first, self._kind):
                raise ConnectionFailed("the server did not begin with `ready`: is it voxwatch?")
            return connection, first
        except ConnectionClosed as error:
            raise lost(error) from error
        except TimeoutError as error:
            await break_off(connection)
            raise ConnectionFailed("the server does not answer", transient=True) from error
        except BaseException:
            await hang_up(connection)
            raise


def given(asked: msgspec.Struct) -> dict[str, Any]:
    """The fields that were given: what is None is left to the server."""
    return _without_none(msgspec.to_builtins(asked))


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    inner = {n: _without_none(v) if isinstance(v, dict) else v for n, v in fields.items()}
    return {name: value for name, value in inner.items() if value is not None}


def _may_pass(error: ConnectionFailed | ServerError) -> bool:
    return error.transient if isinstance(error, ConnectionFailed) else error.code == "overloaded"
