"""A server that stops lets its streams tell what they know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from streamer.config import Config
from streamer.server.server import Server


async def test_drain_tells_the_summary_and_closes_with_1001(
    settings: Callable[..., Config], dial: Any, pcm: Any
) -> None:
    async with AsyncExitStack() as clients:
        async with Server(settings(), drain_s=60.0) as server:
            client = await clients.enter_async_context(dial(server, claim=""))
            watching = await clients.enter_async_context(dial(server, "/v1/monitor"))
            await client.hear()
            await watching.hear()
            await client.sound(pcm("anna", 3.0))
            await client.until("vad")
            told, watched = asyncio.create_task(client.rest()), asyncio.create_task(watching.rest())
        assert await told == 1001
        assert await watched == 1001
    assert [m["type"] for m in client.seen[-2:]] == ["summary", "error"]
    assert client.seen[-1]["code"] == "shutting-down"
    assert watching.of("summary")


@pytest.mark.parametrize("piece", [1_600, 1 << 20])
async def test_who_sends_while_the_server_stops_gets_the_summary_too(
    settings: Callable[..., Config], dial: Any, pcm: Any, piece: int
) -> None:
    """With long messages the server is in the middle of one, waiting for room."""
    sound = 20 * pcm("anna", 3.0)

    async def go_on(client: Any) -> None:
        with suppress(ConnectionClosed):
            while True:
                await client.sound(sound, piece)

    async with AsyncExitStack() as clients:
        limits = {"backlog_s": 0.5}
        async with Server(settings(limits=limits), drain_s=60.0) as server:
            client = await clients.enter_async_context(dial(server, claim=""))
            sending = asyncio.create_task(go_on(client))
            await client.until("quality")
            told = asyncio.create_task(client.rest())
        assert await told == 1001
        await sending
    assert [m["type"] for m in client.seen[-2:]] == ["summary", "error"]
    assert client.seen[-1]["code"] == "shutting-down"
