"""What Home Assistant is told: a device for every label, and how its streams stand. No I/O.

It keeps the newest state of each label and no queue of them: a broker that was away is told how
things stand when it comes back. Turns are events; the last few wait for it.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from engine import events
from streamer.server.mqtt.discovery import (
    UNLABELLED,
    Topics,
    digest,
    label_device,
    server_device,
    slug,
)
from streamer.server.mqtt.states import Stream, Told, turn_told
from streamer.wire import messages
from streamer.wire.client_message import MAX_NAME

log = logging.getLogger("voxwatch.mqtt")

MOST = 64  # devices: after that the one that is longest without a stream makes way
FORGOTTEN_S = 30 * 86400.0  # without a stream, after which a device is taken back
DIGITS = (4, 8, 16, 64)  # that tell apart labels which look alike: as few as do
TURNS = 64  # that wait for a broker; of more the oldest are lost
HEARD = (
    messages.Opened,
    messages.Closed,
    events.Decision,
    events.Vad,
    events.Stalled,
    events.Utterance,
)


class Publication(NamedTuple):
    """A message for the broker. A retained one that is empty takes back what was told before."""

    topic: str
    payload: bytes
    retained: bool = True


@dataclass(slots=True)
class Device:
    """A label, its name in topics, and its streams, the oldest first: the newest is shown."""

    label: str
    name: str
    at: float
    streams: dict[str, Stream] = field(default_factory=dict)

    @property
    def told(self) -> Told:
        """How it stands."""
        if not self.streams:
            return Told(label=self.label, open=False, at=self.at)
        return next(reversed(self.streams.values())).told(self.label, self.at)


class Devices:
    """The devices of a server. ``now`` is seconds since 1970 everywhere."""

    def __init__(self, topics: Topics, version: str) -> None:
        self.topics, self._version = topics, version
        self._devices: dict[str, Device] = {}  # by label
        self._of: dict[str, Device] = {}  # by stream
        self._due: dict[str, bytes] = {}  # retained messages that the broker has yet to get
        self._last: dict[str, bytes] = {}  # what it was given for each topic
        self._turns: deque[Publication] = deque(maxlen=TURNS)
        self._full = False

    # What comes in.

    def hear(self, stream: str, event: events.Event, now: float) -> None:
        """An event of a stream. Exams are left out: their labels are candidates' names."""
        if isinstance(event, messages.Opened):
            if event.exam is None:
                self._open(stream, event, now)
            return
        device = self._of.get(stream)
        if device is None:
            return
        device.at, known = round(now, 3), device.streams[stream]
        match event:
            case messages.Closed():
                del device.streams[stream], self._of[stream]
            case events.Decision():
                known.decision = event
            case events.Vad():
                known.speech = event.speech
            case events.Stalled():
                known.stalled = event.stalled
            case events.Utterance():
                topic = self.topics.event(device.name)
                self._turns.append(Publication(topic, turn_told(stream, event), retained=False))
                return
            case _:
                return
        self._tell_state(device)

    def learn(self, topic: str, payload: bytes, now: float) -> None:
        """A retained state of an earlier run, whose streams are gone by now."""
        if (found := state_of(self.topics, topic, payload)) is None:
            return
        name, told = found
        names = {device.name for device in self._devices.values()}
        if told.label in self._devices or name in names or not self._make_room():
            return
        device = self._devices[told.label] = Device(told.label, name, min(told.at, now))
        self._last[self.topics.state(name)] = payload
        self._tell_device(device)
        self.pass_time(now)

    def emptied(self, topic: str) -> None:
        """A device was taken back, as by somebody in Home Assistant: it is gone without streams."""
        self._last.pop(topic, None)  # whatever it was, it is told anew when it is next wanted
        for device in list(self._devices.values()):
            if self.topics.config(device.name) == topic and not device.streams:
                del self._devices[device.label]
                self._tell(self.topics.state(device.name), b"")

    def pass_time(self, now: float) -> None:
        """Take back what has had no stream for long."""
        for device in list(self._devices.values()):
            if not device.streams and device.at < now - FORGOTTEN_S:
                self._forget(device)

    # What goes out.

    def announce(self) -> None:
        """Tell everything again, as to a broker or a Home Assistant that has been started."""
        self._due = {topic: payload for topic, payload in self._due.items() if not payload}
        self._last.clear()
        self._tell_server()
        for device in self._devices.values():
            self._tell_device(device)

    @property
    def due(self) -> Publication | None:
        """What to tell the broker now, which has it when :meth:`done` is called.

        Devices come first; a turn comes before what has become of its stream since.
        """
        devices = (topic for topic in self._due if topic.endswith("/config"))
        if (topic := next(devices, None)) is None and self._turns:
            return self._turns[0]
        topic = topic or next(iter(self._due), None)
        return None if topic is None else Publication(topic, self._due[topic])

    def done(self, told: Publication) -> None:
        """The broker has it; what has come in its place meanwhile is still to be told."""
        if told.retained and self._due.get(told.topic) is told.payload:
            del self._due[told.topic]
        elif self._turns and self._turns[0] is told:
            self._turns.popleft()

    # Devices.

    def _open(self, stream: str, opened: messages.Opened, now: float) -> None:
        device = self._devices.get(opened.label)
        if device is None:
            if not self._make_room():
                return
            device = Device(opened.label, self._free_name(opened.label), now)
            self._devices[opened.label] = device
        elif device.streams:
            log.warning("two streams have one label: Home Assistant is shown the newer one")
        device.at = round(now, 3)
        device.streams[stream] = Stream(id=stream, mode=opened.mode)
        self._of[stream] = device
        self._tell_device(device)

    def _free_name(self, label: str) -> str:
        taken = {device.name for device in self._devices.values()}
        names = _names(label)
        name = next(one for one in names if one not in taken)
        if name != names[0]:
            log.warning("two labels look alike in topics: the later one is %s there", name)
        return name

    def _make_room(self) -> bool:
        if len(self._devices) < MOST:
            return True
        idle = [device for device in self._devices.values() if not device.streams]
        if idle:
            self._forget(min(idle, key=lambda device: device.at))
        elif not self._full:
            self._full = True
            log.warning("Home Assistant is shown the first %s labels, and no more at once", MOST)
        return bool(idle)

    def _forget(self, device: Device) -> None:
        del self._devices[device.label]
        if device.label:
            self._tell(self.topics.config(device.name), b"")
        else:
            self._tell_server()
        self._tell(self.topics.state(device.name), b"")

    # Messages.

    def _tell_device(self, device: Device) -> None:
        topics = self.topics
        if device.label:
            payload = label_device(topics, self._version, device.name, device.label)
            self._tell(topics.config(device.name), msgspec.json.encode(payload))
        else:
            self._tell_server()
        self._tell_state(device)

    def _tell_server(self) -> None:
        payload = server_device(self.topics, self._version, unlabelled="" in self._devices)
        self._tell(self.topics.config(), msgspec.json.encode(payload))

    def _tell_state(self, device: Device) -> None:
        self._tell(self.topics.state(device.name), msgspec.json.encode(device.told))

    def _tell(self, topic: str, payload: bytes) -> None:
        if self._last.get(topic) == payload:
            return
        self._due.pop(topic, None)  # the newest is the last: a device before its state
        self._due[topic] = payload
        if payload:
            self._last[topic] = payload
        else:
            self._last.pop(topic, None)


def state_of(topics: Topics, topic: str, payload: bytes) -> tuple[str, Told] | None:
    """A retained state of ours, and the name of its label in topics; None: it is not ours."""
    name = topic.removeprefix(f"{topics.base}/").removesuffix("/state")
    try:
        told = msgspec.json.decode(payload, type=Told)
    except msgspec.MsgspecError:
        return None
    ours = len(told.label) <= MAX_NAME and name in _names(told.label)
    return (name, told) if ours else None


def _names(label: str) -> list[str]:
    """What it may be called in topics, the best first; the last of them is no other label's."""
    if not label:
        return [UNLABELLED]
    name = slug(label)
    longer = [f"{name}_{digest(label, digits)}" for digits in DIGITS]
    return longer if name == UNLABELLED else [name, *longer]
