"""A tracker that is told of conversations whose voices are axes of a small space."""

from __future__ import annotations

import numpy as np
from fake_scorers import fake_scorer
from fake_speech import FakeSpeech, Said

from engine.decisions.config import DecisionConfig
from engine.decisions.known_speech import KnownSpeech
from engine.decisions.score_events import ScoredSpan
from engine.decisions.tracker import Tracker
from engine.decisions.tracker_settings import TrackerSettings
from engine.events import AnyEvent, Decision
from engine.format import SAMPLE_RATE_HZ
from engine.model.manifest import Calibration
from engine.scoring.identify import EnrolledVoiceprints

SIZE = 16
PLAIN = fake_scorer(
    SIZE, Calibration(half_speech_s=1.0, slope=(12.0, 0.0), offset=(-6.0, 0.0, 0.0))
)
AXES = np.eye(SIZE, dtype=np.float32)
ASKED = DecisionConfig()


def plain_settings(
    *names: str, claimed: bool = True, decisions: DecisionConfig | None = None
) -> TrackerSettings:
    prints = {name: PLAIN.prepare(AXES[[i]], 10.0) for i, name in enumerate(("anna", "bert"))}
    voices = EnrolledVoiceprints({name: prints[name] for name in names})
    return TrackerSettings(voices, claimed, decisions or DecisionConfig())


def talk(*said: Said) -> FakeSpeech:
    return FakeSpeech(AXES, *said)


def told(tracker: Tracker, speech: FakeSpeech, asked: TrackerSettings) -> list[AnyEvent]:
    """Everything that is told of a conversation, with scores of up to 3 s from 1 s on."""
    events: list[AnyEvent] = []
    for mark in speech.marks():
        start = max(mark.turn, mark.position - 3 * SAMPLE_RATE_HZ)
        long = mark.position - mark.turn >= SAMPLE_RATE_HZ and not mark.ends_turn
        scored = ScoredSpan(start, mark.position, mark.at) if long else None
        events += tracker.add(speech, KnownSpeech(mark, asked, scored))
    return events


def of(kind: type, events: list[AnyEvent]) -> list:
    return [event for event in events if isinstance(event, kind)]


def said_of(states: list[AnyEvent]) -> list[tuple[str, str | None]]:
    return [(event.state, event.speaker) for event in of(Decision, states)]
