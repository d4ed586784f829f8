"""Connections of telephone systems to a server, and what a monitor is told of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from server_requests import token
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from streamer.server.server import Server

CALLER = token("phone-secret", "stream")
DESK = token("desk", "monitor")


@asynccontextmanager
async def dialled(
    server: Server, path: str = "/v1/twilio", **options: Any
) -> AsyncIterator[ClientConnection]:
    url = server.url.replace("http", "ws", 1) + path
    async with connect(url, compression=None, close_timeout=20, **options) as connection:
        yield connection


async def send(connection: ClientConnection, messages: Any) -> None:
    for message in messages:
        text = isinstance(message, dict)
        await connection.send(json.dumps(message) if text else message)


async def heard(connection: ClientConnection) -> tuple[list[Any], int | None, str | None]:
    """What the telephone system is told to the end, and how it is closed."""
    told = []
    try:
        async with asyncio.timeout(20):
            while True:
                told.append(json.loads(await connection.recv()))
    except ConnectionClosed:
        return told, connection.close_code, connection.close_reason


class Followed:
    """A monitor, and what it was told."""

    def __init__(self, wire: Any) -> None:
        self.wire = wire

    async def closed(self) -> list[dict[str, Any]]:
        """Everything of one stream, until it is closed."""
        await self.wire.until("closed")
        seen, self.wire.seen = self.wire.seen, []
        return [one for one in seen if one["type"] != "ready"]


def of(told: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in told if one["type"] == kind]


def verdicts(told: list[dict[str, Any]]) -> list[str]:
    return [one["state"] for one in of(told, "utterance")]
