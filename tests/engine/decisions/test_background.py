"""A television in the background is no takeover, and somebody who leans over is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from fake_scorers import fake_scorer
from fake_speech import FakeSpeech, Said

from engine.audio.speech_levels import SpeechLevels
from engine.decisions.config import DecisionConfig
from engine.decisions.known_speech import KnownSpeech
from engine.decisions.tracker import Tracker
from engine.decisions.tracker_settings import TrackerSettings
from engine.events import AnyEvent, Change, Decision, Utterance
from engine.format import SAMPLE_RATE_HZ
from engine.model.manifest import Calibration
from engine.scoring.identify import EnrolledVoiceprints

AXES = np.eye(16, dtype=np.float32)
PLAIN = fake_scorer(16, Calibration(half_speech_s=1.0, slope=(12.0, 0.0), offset=(-6.0, 0.0, 0.0)))
ANNA = {"anna": PLAIN.prepare(AXES[:1], 10.0)}
OWNER, OTHER, THIRD = 0, 2, 3


def told(
    said: Sequence[Said], below_db: Sequence[float], people: dict = ANNA
) -> tuple[list[AnyEvent], Tracker]:
    """What is told of a conversation whose parts are so far below the loudest."""
    levels, rng = SpeechLevels(), np.random.default_rng(1)
    for part, below in zip(said, below_db, strict=True):
        noise = rng.standard_normal(round(part.speech_s * SAMPLE_RATE_HZ)).astype(np.float32)
        levels.push(noise * np.float32(0.1 * 10 ** (-below / 20)))
    tracker, speech = Tracker(PLAIN, 0.5), FakeSpeech(AXES, *said)
    asked = TrackerSettings(EnrolledVoiceprints(people), True, DecisionConfig())
    events: list[AnyEvent] = []
    for mark in speech.marks():
        events += tracker.add(speech, KnownSpeech(mark, asked, levels=levels))
    return events, tracker


def of(kind: type, events: list[AnyEvent]) -> list:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("pause_s", [0.0, 1.0])
def test_a_television_between_two_turns_is_no_takeover(pause_s: float) -> None:
    said = [Said(OWNER, 6.0), Said(OTHER, 4.0, pause_s), Said(OWNER, 3.0, 1.0)]
    events, tracker = told(said, [0.0, 20.0, 0.0])
    assert of(Change, events) == []
    assert [one.state for one in of(Decision, events)] == ["insufficient", "match"]
    verdicts = [(one.state, one.background, one.voice) for one in of(Utterance, events)]
    assert verdicts == [
        ("match", False, "voice-1"),
        ("mismatch", True, None),
        ("match", False, "voice-1"),
    ]
    (far,) = (one for one in of(Utterance, events) if one.background)
    assert far.below_db == pytest.approx(20.0, abs=1.0)
    assert far.reason.startswith("20 dB below the voice before: in the background; evidence ")
    assert tracker.match_s < 9.0  # of the owner alone


@pytest.mark.parametrize("below_db", [-6.0, 0.0, 6.0, 8.0])
@pytest.mark.parametrize("pause_s", [0.0, 1.0])
def test_somebody_who_leans_over_is_a_takeover(below_db: float, pause_s: float) -> None:
    events, _ = told([Said(OWNER, 6.0), Said(OTHER, 4.0, pause_s)], [0.0, below_db])
    (change,) = of(Change, events)
    assert change.from_speaker == "anna"
    assert of(Decision, events)[-1].state == "mismatch"
    assert not any(one.background for one in of(Utterance, events))


def test_without_a_claim_a_television_is_no_change_either() -> None:
    said = [Said(OWNER, 6.0), Said(OTHER, 4.0, 1.0), Said(OWNER, 3.0, 1.0)]
    assert of(Change, told(said, [0.0, 20.0, 0.0], {})[0]) == []
    assert len(of(Change, told(said, [0.0, 0.0, 0.0], {})[0])) == 2


def test_somebody_else_after_a_television_is_a_takeover_from_the_owner() -> None:
    said = [Said(OWNER, 6.0), Said(OTHER, 8.0, 1.0), Said(THIRD, 4.0, 1.0)]
    events, _ = told(said, [0.0, 20.0, 0.0])
    (change,) = of(Change, events)
    assert (change.from_speaker, change.to_speaker) == ("anna", "voice-2")
    assert of(Decision, events)[-1].state == "mismatch"


def test_the_owner_far_from_the_microphone_is_still_the_owner() -> None:
    events, _ = told([Said(OWNER, 6.0), Said(OWNER, 4.0, 1.0)], [0.0, 20.0])
    assert [one.background for one in of(Utterance, events)] == [False, False]
    assert of(Decision, events)[-1].state == "match"


@pytest.mark.parametrize("below_db", [12.0, 16.0, 22.0])
def test_the_owner_is_back_after_a_loudspeaker_that_is_far_louder(below_db: float) -> None:
    """The assistant's loudspeaker is beside the microphone, and its owner across the room."""
    said = [Said(OWNER, 6.0), *([Said(OTHER, 3.0, 1.0), Said(OWNER, 3.0, 1.0)] * 2)]
    events, _ = told(said, [below_db, *([0.0, below_db] * 2)])
    verdicts = [(one.state, one.background) for one in of(Utterance, events)]
    assert verdicts == [("match", False), *([("mismatch", False), ("match", False)] * 2)]
    assert [one.to_speaker for one in of(Change, events)] == ["voice-2", "anna"] * 2
    assert of(Decision, events)[-1].state == "match"


def test_the_owner_is_known_again_after_a_long_film() -> None:
    film = [Said(OTHER, 9.0, 0.8) for _ in range(12)]
    said = [Said(OWNER, 6.0), *film, Said(OWNER, 4.0, 1.0)]
    events, _ = told(said, [0.0, *(20.0 for _ in film), 0.0])
    assert of(Change, events) == []
    assert of(Utterance, events)[-1].state == "match"
    assert of(Decision, events)[-1].state == "match"
