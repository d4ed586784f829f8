"""Home Assistant beside the publisher: what it is told comes from all streams of all workers."""

from __future__ import annotations

import asyncio
import importlib.metadata
import time

from aiomqtt import Client, Message

from engine import events
from streamer.config import Mqtt
from streamer.server.hub import Hub
from streamer.server.mqtt.devices import HEARD, Devices
from streamer.server.mqtt.discovery import ONLINE, Topics
from streamer.server.outbox import Outbox
from streamer.server.workers.following import OtherStreams, opened_of
from streamer.server.workers.peers import Peers
from streamer.tasks import beside, cancelled
from streamer.wire import messages

PASS_TIME_S = 3600.0  # between two looks at what is to be taken back
WAITING = 1 << 14  # messages at most; they are taken in at once, so that none waits


class HomeAssistant:
    """Follows the streams by :meth:`follow`, and tells of them while there is a broker."""

    def __init__(self, mqtt: Mqtt, hub: Hub, peers: Peers, *, figures: bool) -> None:
        assert mqtt.discovery is not None
        version = importlib.metadata.version("voxwatch")
        self._devices = Devices(Topics(mqtt.topic, mqtt.discovery), version)
        self._hub, self._peers, self._figures = hub, peers, figures
        self._outbox: Outbox | None = None
        self._news = asyncio.Event()

    async def follow(self) -> None:
        """Take in what happens, for as long as it is not cancelled."""
        following = self._hub.follow(kinds=HEARD, figures=self._figures, limit=WAITING)
        with following as subscription:
            self._outbox = subscription.outbox
            async with OtherStreams(self._peers, None, False, self._figures) as others:
                for state in others.states:
                    self._begin(state)
                await beside(self._hear(), others.follow(self._outbox), self._pass_time())

    async def publish(self, client: Client) -> None:
        """Tell the broker what there is, and what comes. Raises ``MqttError``."""
        topics, devices = self._devices.topics, self._devices
        devices.announce()
        for topic in sorted(topics.births):
            await client.subscribe(topic, qos=1)
        await client.subscribe(topics.state("+"), qos=1)
        listening: set[str] = set()
        while True:
            self._news.clear()
            while (told := devices.due) is not None:
                if told.topic.endswith("/config") and told.topic not in listening:
                    await client.subscribe(told.topic, qos=1)
                    listening.add(told.topic)
                await client.publish(told.topic, told.payload, qos=1, retain=told.retained)
                devices.done(told)
            if cancelled():
                return
            await self._news.wait()

    async def last_words(self, client: Client) -> None:
        """Tell the broker that no stream is left. Raises ``MqttError``."""
        self._take()
        while (told := self._devices.due) is not None:
            await client.publish(told.topic, told.payload, qos=1, retain=told.retained)
            self._devices.done(told)

    def receive(self, message: Message) -> None:
        """Home Assistant has started, somebody took a device back, or a state of an earlier run."""
        topic, payload = message.topic.value, message.payload
        topics, devices = self._devices.topics, self._devices
        if topic in topics.births:
            if payload == ONLINE.encode() and not message.retain:
                devices.announce()
        elif topic.endswith("/config"):
            if not payload:
                devices.emptied(topic)
        elif message.retain and payload:
            devices.learn(topic, payload, time.time())
        self._news.set()

    async def _hear(self) -> None:
        assert self._outbox is not None
        while True:
            await self._outbox.wait()
            self._take()

    def _take(self) -> None:
        if self._outbox is None:
            return
        for sent in self._outbox.take():
            self._devices.hear(sent.message.stream, sent.message.event, time.time())
        self._news.set()

    async def _pass_time(self) -> None:
        while True:
            await asyncio.sleep(PASS_TIME_S)
            self._devices.pass_time(time.time())
            self._news.set()

    def _begin(self, state: messages.StreamState) -> None:
        """A stream of another worker that was open before this one began."""
        t = state.received_s
        told: list[events.Event] = [opened_of(state)]
        told.append(events.Vad(t=t, speech=state.speaking, at=t))
        if state.state is not None:
            told.append(
                events.Decision(
                    t=t,
                    state=state.state,
                    speaker=state.speaker,
                    since=state.since or 0.0,
                    llr=None,
                    net_speech_s=state.speech_s,
                    reason="",
                )
            )
        told.append(events.Stalled(t=t, stalled=state.stalled, gap_s=0.0))
        for event in told:
            self._devices.hear(state.stream, event, time.time())
