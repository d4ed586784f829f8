"""What streams say, to an MQTT broker.

    <topic>/<stream>/<type>   JSON, as monitors get it: decisions, changes, incidents, ...
    <topic>/status            "online" or "offline", retained; the broker says the latter for us

What Home Assistant is told beside is in :mod:`streamer.server.mqtt.devices`.
The server never waits for the broker: what it does not take waits in a bounded outbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiomqtt import Client, MqttError, Will

from engine import events
from engine.errors import VoxwatchError
from streamer.config import Mqtt
from streamer.server.hub import Hub, Subscription
from streamer.server.mqtt.discovery import OFFLINE, ONLINE
from streamer.server.mqtt.former import FormerDevices
from streamer.server.mqtt.home_assistant import HomeAssistant
from streamer.server.outbox import Sent
from streamer.tasks import beside
from streamer.wire import messages
from streamer.wire.errors import WireError
from streamer.wire.incidents import Acted, Incident

log = logging.getLogger("voxwatch.mqtt")

KINDS = (
    events.Decision,
    events.Change,
    events.Utterance,
    events.Overlap,
    events.Stalled,
    events.Lag,
    events.Failure,
    events.Summary,
    Incident,
    Acted,
    messages.Opened,
    messages.Closed,
)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0


class Publisher:
    """Follows the hub for as long as :meth:`run` runs.

    Without ``figures`` it tells none, as monitors are told none then. With ``home`` it tells Home
    Assistant too, or takes back what that was told.
    """

    def __init__(
        self,
        mqtt: Mqtt,
        hub: Hub,
        *,
        limit: int = 1024,
        tells_status: bool = True,
        figures: bool = True,
        home: HomeAssistant | FormerDevices | None = None,
    ) -> None:
        self._home = home
        self._mqtt, self._hub, self._limit, self._figures = mqtt, hub, limit, figures
        self._tells_status = tells_status  # of several workers the first one does
        self._password = _password(mqtt)
        self._untold: deque[Sent] = deque()  # taken from the outbox, not yet with the broker
        self._following: Subscription | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Publish until :meth:`stop`. Connects again and again, more and more rarely."""
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            kinds = (*KINDS, events.Score) if self._mqtt.scores else KINDS
            following = self._hub.follow(kinds=kinds, limit=self._limit, figures=self._figures)
            with following as self._following:
                while not self._stopping.is_set() and not self._following.outbox.slow:
                    try:
                        async with self._client() as client, _told_by_the_broker(client) as end:
                            pause_s = FIRST_PAUSE_S
                            end.told = await self._serve(client, self._following)
                    except MqttError as error:
                        where = f"{self._mqtt.host}:{self._mqtt.port}"
                        # Once for every time that it goes: the log is not to fill with it.
                        level = logging.WARNING if pause_s == FIRST_PAUSE_S else logging.DEBUG
                        log.log(level, "the MQTT broker at %s is not there: %s", where, error)
                        await self._pause(pause_s)
                        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                if self._following.outbox.slow:
                    log.warning("the MQTT broker was too slow or gone too long: events were lost")

    def stop(self) -> None:
        """Tell the broker what still waits, and that nothing follows. For a server that stops."""
        self._stopping.set()
        if self._following is not None:
            self._following.outbox.end()

    async def _pause(self, seconds: float) -> None:
        """Wait, but not for a server that stops; not all servers at the same moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds * random.uniform(0.5, 1)):
                await self._stopping.wait()

    def _client(self) -> Client:
        mqtt = self._mqtt
        return Client(
            mqtt.host,
            mqtt.port,
            username=mqtt.username,
            password=self._password,
            will=self._will(),
            tls_context=ssl.create_default_context() if mqtt.tls else None,
            logger=log,
        )

    async def _serve(self, client: Client, following: Subscription) -> bool:
        """While the broker is there and keeps up; whether it knows the end. Raises MqttError."""
        await self._tell_status(client, ONLINE)
        log.info("the MQTT broker is there")
        with contextlib.suppress(WireError):  # the broker is too slow: see run
            overflow = following.outbox.overflow()
            home = [self._home.publish(client)] if self._home else []
            listening = _listen(client, self._home)
            await beside(self._publish(client, following), listening, overflow, *home)
        if self._stopping.is_set():
            if self._home:
                await self._home.last_words(client)
            await self._tell_status(client, OFFLINE)
        return self._stopping.is_set()

    def _will(self) -> Will | None:
        return Will(self._status, OFFLINE, qos=1, retain=True) if self._tells_status else None

    @property
    def _status(self) -> str:
        return f"{self._mqtt.topic}/status"

    async def _tell_status(self, client: Client, status: str) -> None:
        if self._tells_status:
            await client.publish(self._status, status, qos=1, retain=True)

    async def _publish(self, client: Client, following: Subscription) -> None:
        outbox = following.outbox
        while self._untold or len(outbox) or not outbox.ended:
            if not self._untold:
                await outbox.wait()
                self._untold.extend(outbox.take())
            while self._untold:
                sent = self._untold[0]
                await client.publish(self._topic(sent), sent.text, qos=self._mqtt.qos)
                self._untold.popleft()  # now it is with the broker, and not before

    def _topic(self, sent: Sent) -> str:
        kind = sent.message.event.__struct_config__.tag
        stream = sent.message.stream
        return "/".join(part for part in (self._mqtt.topic, stream, str(kind)) if part)


@dataclass(slots=True)
class _End:
    """Whether the broker has taken that nothing follows."""

    told: bool = False


@contextlib.asynccontextmanager
async def _told_by_the_broker(client: Client) -> AsyncIterator[_End]:
    """Break the connection off, unless its end is told: then the broker tells it, by the will.

    After a clean DISCONNECT, which aiomqtt sends whatever ends its connection, the broker has to
    forget the will (MQTT 3.1.1, 3.14.4), and "online" would stand there for good.
    """
    end = _End()
    try:
        yield end
    finally:
        # The only way there is: MQTT 3.1.1 has no DISCONNECT that keeps the will.
        wire = client._client.socket()
        if not end.told and isinstance(wire, socket.socket):
            with contextlib.suppress(OSError):  # it is broken already
                wire.shutdown(socket.SHUT_RDWR)


async def _listen(client: Client, home: HomeAssistant | FormerDevices | None) -> None:
    """Notice that the broker is gone, though nothing is to be told. Raises ``MqttError``."""
    async for message in client.messages:
        if home:
            home.receive(message)


def _password(mqtt: Mqtt) -> str | None:
    if mqtt.password_env is None:
        return None
    password = os.environ.get(mqtt.password_env)
    if password is None:
        message = f"mqtt.password_env: there is no environment variable {mqtt.password_env}"
        raise VoxwatchError(f"{message}: set it")
    return password
