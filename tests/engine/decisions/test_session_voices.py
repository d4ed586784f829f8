"""Voices of a session: labels that stay, names once they are known, and a bound on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.decisions.session_voices import MOST_VOICES, SessionVoices
from engine.model.bundle import Bundle
from engine.model.manifest import Calibration, Manifest
from engine.scoring.scorer import CalibratedScorer

MANIFEST = Manifest(
    name="fake",
    version="1",
    licence="none",
    source="test",
    architecture={},
    front_end={},
    embedding_size=40,
    calibration=Calibration(half_speech_s=1.0, slope=(10.0, 0.0), offset=(-5.0, 0.0, 0.0)),
)
SCORER = CalibratedScorer(Bundle(MANIFEST, Path(), None))
VOICES = np.eye(40, dtype=np.float32)


def test_labels_count_up_and_a_voice_that_comes_back_is_known() -> None:
    voices = SessionVoices(SCORER)
    labels = []
    for speaker in (0, 1, 0, 2, 1):
        voice = voices.enter(VOICES[speaker], 3.0)
        voice.add(VOICES[speaker], 3.0)
        labels.append(voice.called)
    assert labels == ["voice-1", "voice-2", "voice-1", "voice-3", "voice-2"]


def test_whoever_was_speaking_until_now_is_not_the_new_voice() -> None:
    voices = SessionVoices(SCORER)
    first = voices.enter(VOICES[0], 3.0)
    first.add(VOICES[0], 3.0)
    assert voices.enter(VOICES[0], 3.0, but=first).label == "voice-2"


def test_a_name_is_kept_with_the_voice() -> None:
    voices = SessionVoices(SCORER)
    voice = voices.enter(VOICES[0], 3.0)
    voice.add(VOICES[0], 3.0)
    voice.name = "anna"
    assert voices.enter(VOICES[0], 3.0).called == "anna"


def test_more_voices_than_can_be_remembered() -> None:
    voices = SessionVoices(SCORER)
    for speaker in (*range(MOST_VOICES), 0, *range(MOST_VOICES, MOST_VOICES + 3)):
        voices.enter(VOICES[speaker], 3.0).add(VOICES[speaker], 3.0)
    assert voices.enter(VOICES[0], 3.0).label == "voice-1"  # it spoke again in between
    assert voices.enter(VOICES[1], 3.0).label == f"voice-{MOST_VOICES + 4}"  # forgotten
