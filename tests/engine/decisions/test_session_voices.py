"""Voices of a session: labels that stay, names once they are known, and a bound on them."""

from __future__ import annotations

import numpy as np
from fake_scorers import fake_scorer

from engine.decisions.session_voices import MOST_VOICES, SessionVoices

SCORER = fake_scorer(40)
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
