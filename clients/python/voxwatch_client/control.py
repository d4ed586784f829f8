"""Requests to a server, and watching what its streams say; see `voxwatch_client`."""

from __future__ import annotations

import itertools
import ssl
import urllib.parse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from voxwatch_client import messages, reading
from voxwatch_client.connection import dial, hang_up, lost
from voxwatch_client.errors import ConnectionFailed, ServerError


class ControlClient:
    """Requests, one at a time, on one connection. Made by :func:`control`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)

    async def request(self, kind: str, **fields: Any) -> Any:
        """The result of a request of wire version 1, as decoded JSON.

        Raises :class:`ServerError` where the server refuses.
        """
        number = next(self._numbers)
        asked = msgspec.json.encode({"id": number, "type": kind, **fields}).decode()
        try:
            await self._connection.send(asked)
            answer = _json(await self._connection.recv())
        except ConnectionClosed as error:
            raise lost(error) from error
        if answer.get("ok") is not True:
            told = answer.get("error", answer)  # one that ends the connection stands alone
            raise ServerError(str(told.get("code")), str(told.get("message")))
        if answer.get("id") != number:
            raise ConnectionFailed("the server answered another request: connect again")
        return answer["result"]


@asynccontextmanager
async def control(
    url: str, *, token: str | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ControlClient]:
    """A control connection: ``await client.request("profiles")``."""
    connection = await dial(url, "/v1/control", token=token, tls=tls)
    try:
        yield ControlClient(connection)
    finally:
        await hang_up(connection)


@asynccontextmanager
async def monitor(
    url: str,
    *,
    stream: str | None = None,
    levels: bool = False,
    token: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[AsyncIterator[messages.MonitorMessage]]:
    """What all streams say, or the one of that public id; `MonitorReady` is first.

    ``stream`` of a message is the public id of the stream that says it.

    Raises :class:`ConnectionFailed` when the connection is lost: a new one begins with the
    streams as they are then.
    """
    asked = {"stream": stream, "levels": "1" if levels else None}
    query = urllib.parse.urlencode({k: v for k, v in asked.items() if v is not None})
    path = f"/v1/monitor?{query}" if query else "/v1/monitor"
    connection = await dial(url, path, token=token, tls=tls)
    try:
        yield _messages(connection)
    finally:
        await hang_up(connection)


async def _messages(connection: ClientConnection) -> AsyncIterator[messages.MonitorMessage]:
    while True:
        try:
            message = reading.monitor(await connection.recv())
        except ConnectionClosedOK:
            return
        except ConnectionClosed as error:
            raise lost(error) from error
        if isinstance(message, messages.Failure) and message.stream is msgspec.UNSET:
            raise ServerError(message.code, message.message)
        yield message


def _json(text: str | bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except ValueError as error:
        raise ConnectionFailed("the server does not speak JSON: is it voxwatch?") from error
    if not isinstance(found, dict):
        raise ConnectionFailed("the server does not speak voxwatch's protocol")
    return found
