"""A television in the background is no takeover, and somebody who leans over is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from fake_scorers import fake_scorer
from fake_speech import FakeSpeech, Said
from numpy.typing import NDArray

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
    said: Sequence[Said],
    below_db: Sequence[float],
    people: dict = ANNA,
    voices: NDArray[np.float32] = AXES,
) -> tuple[list[AnyEvent], Tracker]:
    """What is told of a conversation whose parts are so far below the loudest."""
    levels, rng = SpeechLevels(), np.random.default_rng(1)
    for part, below in zip(said, below_db, strict=True):
        noise = rng.standard_normal(round(part.speech_s * SAMPLE_RATE_HZ)).astype(np.float32)
        levels.push(noise * np.float32(0.1 * 10 ** (-below / 20)))
    tracker, speech = Tracker(PLAIN, 0.5), FakeSpeech(voices, *said)
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


def alike(cosine: float) -> NDArray[np.float32]:
    """Voices of which the other's is so like the owner's."""
    voices = AXES.copy()
    voices[OTHER] = cosine * AXES[OWNER] + np.sqrt(1 - cosine**2) * AXES[OTHER]
    return voices


def found_after(louder_db: float, cosine: float, people: dict = ANNA) -> float | None:
    """How long after she began to speak Anna is told, as like the one before and so much louder."""
    said = [Said(OTHER, 4.0), Said(OWNER, 4.0)]
    events, _ = told(said, [louder_db, 0.0], people, alike(cosine))
    return next((one.detected_at - 4.0 for one in of(Change, events)), None)


def test_the_level_tells_who_is_enrolled_sooner() -> None:
    equal, louder = found_after(0.0, 0.3), found_after(12.0, 0.3)
    assert louder is not None
    assert equal is None or louder < equal


@pytest.mark.parametrize("cosine", [0.2, 0.3])
def test_of_voices_that_nobody_knows_the_level_tells_nothing(cosine: float) -> None:
    """From one sentence to the next it differs by as much."""
    assert found_after(12.0, cosine, {}) == found_after(0.0, cosine, {})


def test_who_speaks_up_is_no_other_voice() -> None:
    for people in (ANNA, {}):
        assert found_after(20.0, 1.0, people) is None
        assert found_after(20.0, 0.8, people) is None


@pytest.mark.parametrize("louder_db", [10.0, 12.0, 20.0])
def test_who_speaks_up_beside_a_television_is_told_from_it(louder_db: float) -> None:
    """The television was heard first, and goes on afterwards."""
    said = [Said(OTHER, 2.0), Said(OWNER, 3.0), Said(OTHER, 3.0)]
    events, _ = told(said, [louder_db, 0.0, louder_db], voices=alike(0.45))
    owner = max(of(Utterance, events), key=lambda one: min(one.end, 5.0) - max(one.start, 2.0))
    assert (owner.state, owner.background) == ("match", False)
    assert (owner.start, owner.end) == (pytest.approx(2.0, abs=0.3), pytest.approx(5.0, abs=0.3))
