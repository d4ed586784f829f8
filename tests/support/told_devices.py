"""Events of streams for `Devices`, and a broker that only notes what it is told."""

from __future__ import annotations

import json
from typing import Any

from engine import events
from streamer.server.mqtt.devices import Devices
from streamer.server.mqtt.discovery import Topics
from streamer.wire import messages

NOW = 1_800_000_000.0
TOPICS = Topics("voxwatch", "homeassistant")
OWN = "homeassistant/device/voxwatch_voxwatch"


def opened(label: str, exam: str | None = None) -> messages.Opened:
    bounds = messages.Bounds(false_accept=0.01, miss=0.05, accept_llr=4.6, reject_llr=-3.0)
    model = messages.Model(name="m", version="1", sha256="0", provider="cpu")
    return messages.Opened(
        t=0.0,
        label=label,
        exam=exam,
        mode="verify",
        claims=("anna",),
        bounds=bounds,
        expected_rates=(),
        model=model,
        window_s=3.0,
        hop_s=0.5,
        decide_s=1.0,
    )


def decision(state: events.State, speaker: str | None = "anna") -> events.Decision:
    told = "anna speaks"
    return events.Decision(
        t=2.0, state=state, speaker=speaker, since=1.0, llr=5.0, net_speech_s=2.0, reason=told
    )


def turn(state: events.State, speaker: str | None = "anna") -> events.Utterance:
    return events.Utterance(
        t=3.0, start=1.0, end=3.0, speech_s=2.0, state=state, speaker=speaker, llr=5.0
    )


class Broker:
    """Holds what is retained, and lists what is not."""

    def __init__(self, devices: Devices) -> None:
        self._devices, self.retained, self.turns = devices, dict[str, Any](), list[Any]()

    def take(self) -> list[str]:
        """Everything that is due; the topics in order."""
        topics = []
        while (told := self._devices.due) is not None:
            topics.append(told.topic)
            if not told.retained:
                self.turns.append((told.topic, json.loads(told.payload)))
            elif told.payload:
                self.retained[told.topic] = json.loads(told.payload)
            else:
                del self.retained[told.topic]
            self._devices.done(told)
        return topics
