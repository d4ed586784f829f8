"""What an earlier run told Home Assistant, where `mqtt.discovery` has been turned off since.

The broker retains devices and the states of labels, a speaker's name among them, until somebody
takes them back.
"""

from __future__ import annotations

import asyncio
import logging

import msgspec
from aiomqtt import Client, Message

from streamer.server.mqtt.devices import state_of
from streamer.server.mqtt.discovery import Topics
from streamer.tasks import cancelled

log = logging.getLogger("voxwatch.mqtt")

# The prefix is no longer known: it may have been any of so many levels.
PREFIXES = ("+", "+/+", "+/+/+")
MOST = 1024  # topics that wait; more are found when the broker is next connected to


class _Component(msgspec.Struct):
    state_topic: str = ""


class _Device(msgspec.Struct):
    components: dict[str, _Component]


class FormerDevices:
    """Takes back what the broker retains of the server whose topics begin with ``base``."""

    def __init__(self, base: str) -> None:
        self._topics = Topics(base, "+")
        self._found: asyncio.Queue[str] = asyncio.Queue(MOST)

    async def publish(self, client: Client) -> None:
        """Take back what is found, for as long as it is not cancelled. Raises ``MqttError``."""
        for prefix in PREFIXES:
            await client.subscribe(f"{prefix}/device/+/config", qos=1)
        await client.subscribe(self._topics.state("+"), qos=1)
        while not cancelled():
            topic = await self._found.get()
            await client.publish(topic, b"", qos=1, retain=True)
            log.info("taken back from Home Assistant: %s", topic)

    async def last_words(self, client: Client) -> None:
        """Nothing is left to be told."""

    def receive(self, message: Message) -> None:
        """A message of the topics above: one that is retained may be ours."""
        topic, payload = message.topic.value, message.payload
        if message.retain and isinstance(payload, bytes) and not self._found.full():
            ours = self._is_device if topic.endswith("/config") else self._is_state
            if ours(topic, payload):
                self._found.put_nowait(topic)

    def _is_state(self, topic: str, payload: bytes) -> bool:
        return state_of(self._topics, topic, payload) is not None

    def _is_device(self, topic: str, payload: bytes) -> bool:
        """By its name and by where its entities listen: two bases may look alike in names."""
        own, identifier = self._topics.identifier(), topic.split("/")[-2]
        if identifier != own and not identifier.startswith(f"{own}-"):
            return False
        try:
            components = msgspec.json.decode(payload, type=_Device).components.values()
        except msgspec.MsgspecError:
            return False
        ours = [one.state_topic.startswith(f"{self._topics.base}/") for one in components]
        return bool(ours) and all(ours)
