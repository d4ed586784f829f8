"""The devices and entities that Home Assistant is to make, as it wants them told. No I/O.

    <prefix>/device/voxwatch_<node>/config           the server
    <prefix>/device/voxwatch_<node>-<label>/config   the streams of one label

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, get_args

from engine import events

UNLABELLED = "unlabelled"  # stands for the label in topics of streams that have none
# Home Assistant says `unknown` of an entity that has no value, which is something else.
STRANGER = "stranger"
DECISIONS = [STRANGER if state == "unknown" else state for state in get_args(events.State)]
URL = "https://www.home-assistant.io/integrations/mqtt/"
ONLINE, OFFLINE = "online", "offline"

# The entities of streams, without what says of which streams they are.
SPEAKER = {
    "platform": "sensor",
    "name": "Speaker",
    "icon": "mdi:account-voice",
    "value_template": "{{ value_json.speaker }}",
}
DECISION = {
    "platform": "sensor",
    "name": "Decision",
    "device_class": "enum",
    "options": DECISIONS,
    "value_template": "{{ value_json.decision }}",
}
VERIFIED = {
    "platform": "binary_sensor",
    "name": "Verified",
    "icon": "mdi:account-check",
    "value_template": "{{ 'ON' if value_json.verified else 'OFF' }}",
}
SPEECH = {
    "platform": "binary_sensor",
    "name": "Speech",
    "device_class": "sound",
    "value_template": "{{ 'ON' if value_json.speech else 'OFF' }}",
}
UTTERANCE = {
    "platform": "event",
    "name": "Utterance",
    "icon": "mdi:account-voice",
    "event_types": DECISIONS,
}


@dataclass(frozen=True, slots=True)
class Topics:
    """Where the server tells what; ``base`` is what all its topics begin with."""

    base: str
    prefix: str  # under which Home Assistant looks for devices

    @property
    def node(self) -> str:
        """The server's part of every identifier: no two servers of a broker share their topics."""
        return slug(self.base)

    @property
    def status(self) -> str:
        """Whether the server is there."""
        return f"{self.base}/status"

    @property
    def births(self) -> set[str]:
        """Where Home Assistant says that it has started; by default whatever its prefix is."""
        return {f"{self.prefix}/status", "homeassistant/status"}

    def state(self, name: str) -> str:
        """How the streams of that label stand."""
        return f"{self.base}/{name}/state"

    def event(self, name: str) -> str:
        """The turns of that label's streams."""
        return f"{self.base}/{name}/event"

    def config(self, name: str = UNLABELLED) -> str:
        """The device of that label, or the server's, where streams without one belong."""
        return f"{self.prefix}/device/{self.identifier(name)}/config"

    def identifier(self, name: str = UNLABELLED) -> str:
        """What Home Assistant knows that device by. A name has no hyphen, so none is another's."""
        own = f"voxwatch_{self.node}"
        return own if name == UNLABELLED else f"{own}-{name}"


def slug(text: str) -> str:
    """``text`` as it may stand in a topic and in an identifier: a to z, digits, underscores."""
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", letters).strip("_") or f"stream_{digest(text, 8)}"


def digest(text: str, digits: int) -> str:
    """What tells apart texts that look alike in topics."""
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def decision_of(state: events.State) -> str:
    """A state as Home Assistant is told it."""
    return STRANGER if state == "unknown" else state


def server_device(topics: Topics, version: str, *, unlabelled: bool) -> dict[str, Any]:
    """The server itself, and with ``unlabelled`` the streams that have no label."""
    own = topics.identifier()
    name = "voxwatch" if topics.base == "voxwatch" else f"voxwatch {topics.base}"
    connected = {
        "platform": "binary_sensor",
        "unique_id": f"{own}_connected",
        "name": "Connected",
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "state_topic": topics.status,
        "payload_on": ONLINE,
        "payload_off": OFFLINE,
    }
    streams = stream_entities(topics, UNLABELLED) if unlabelled else {}
    device = {"identifiers": [own], "name": name, "sw_version": version}
    return _payload(device, version, {"connected": connected, **streams})


def label_device(topics: Topics, version: str, name: str, label: str) -> dict[str, Any]:
    """The streams of one label."""
    device = {
        "identifiers": [topics.identifier(name)],
        "name": label,
        "via_device": topics.identifier(),
    }
    return _payload(device, version, stream_entities(topics, name))


def _payload(device: dict[str, Any], version: str, entities: dict[str, Any]) -> dict[str, Any]:
    return {
        "device": {"manufacturer": "voxwatch", "model": "Speaker verifier", **device},
        "origin": {"name": "voxwatch", "sw_version": version, "support_url": URL},
        "components": entities,
    }


def stream_entities(topics: Topics, name: str) -> dict[str, Any]:
    """What is known of whoever speaks. Without a stream only turns are available, as the last."""
    own, state = topics.identifier(name), topics.state(name)
    server = {"topic": topics.status}
    is_open = "{{ 'online' if value_json.open else 'offline' }}"
    states = {
        "state_topic": state,
        "availability": [server, {"topic": state, "value_template": is_open}],
        "availability_mode": "all",
    }
    entities: dict[str, dict[str, Any]] = {
        "speaker": {
            **SPEAKER,
            "json_attributes_topic": state,
            "json_attributes_template": "{{ value_json.about | tojson }}",
            **states,
        },
        "decision": {**DECISION, **states},
        "verified": {**VERIFIED, **states},
        "speech": {**SPEECH, **states},
        "utterance": {
            **UTTERANCE,
            "state_topic": topics.event(name),
            "availability": [server],
        },
    }
    return {key: {"unique_id": f"{own}_{key}", **entity} for key, entity in entities.items()}
