"""The publisher of a server, for as long as the server runs."""

from __future__ import annotations

import asyncio
import contextlib

from streamer.config import Mqtt
from streamer.server.context import Context
from streamer.server.mqtt.former import FormerDevices
from streamer.server.mqtt.home_assistant import HomeAssistant
from streamer.server.mqtt.publisher import Publisher

LAST_WORDS_S = 2.0  # for what still waits when the server stops


def publish(
    mqtt: Mqtt, context: Context, tasks: asyncio.TaskGroup, stack: contextlib.AsyncExitStack
) -> None:
    """Publish until ``stack`` is closed. Of several workers the first tells of the server."""
    figures, first = context.config.scores, context.peers.number == 1
    home: HomeAssistant | FormerDevices | None = None
    if first and mqtt.discovery is None:
        home = FormerDevices(mqtt.topic)
    elif first:
        home = HomeAssistant(mqtt, context.hub, context.peers, figures=figures)
        stack.callback(tasks.create_task(home.follow(), name="home assistant").cancel)
    publisher = Publisher(
        mqtt,
        context.hub,
        limit=context.config.limits.outbox,
        tells_status=first,
        figures=figures,
        home=home,
    )
    publishing = tasks.create_task(publisher.run(), name="mqtt")

    async def end() -> None:
        publisher.stop()
        await asyncio.wait([publishing], timeout=LAST_WORDS_S)
        publishing.cancel()

    stack.push_async_callback(end)
