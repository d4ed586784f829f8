"""Labels and names of the voices of a session, as the tracker tells them."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from fake_speech import FakeSpeech, Said
from numpy.typing import NDArray
from tracked_talk import AXES, PLAIN, SIZE, of, plain_settings, said_of, talk, told

from engine.decisions.config import DecisionConfig
from engine.decisions.known_speech import KnownSpeech
from engine.decisions.tracker import Tracker
from engine.events import Change, Decision, Utterance
from engine.format import SAMPLE_RATE_HZ


def test_a_voice_that_comes_back_has_its_label_and_its_name() -> None:
    speech = talk(Said(0, 12.0), Said(2, 10.0), Said(0, 10.0), Said(3, 10.0))
    events = told(Tracker(PLAIN, 0.5), speech, plain_settings("anna", "bert", claimed=False))
    changes = of(Change, events)
    assert [(c.from_speaker, c.to_speaker) for c in changes] == [
        ("anna", "voice-2"),
        ("voice-2", "anna"),
        ("anna", "voice-3"),
    ]
    for change, at in zip(changes, (12.0, 22.0, 32.0), strict=True):
        assert change.at == pytest.approx(at, abs=0.1)
    settled = [said for said in said_of(events) if said[0] in ("match", "unknown")]
    assert [said for said, _ in groupby(settled)] == [("match", "anna"), ("unknown", None)] * 2


def test_without_anybody_enrolled_voices_have_labels() -> None:
    events = told(Tracker(PLAIN, 0.5), talk(Said(0, 10.0), Said(1, 10.0)), plain_settings())
    assert [(e.from_speaker, e.to_speaker) for e in of(Change, events)] == [("voice-1", "voice-2")]
    assert [(e.state, e.voice) for e in of(Utterance, events)] == [
        ("unknown", "voice-1"),
        ("unknown", "voice-2"),
    ]


@pytest.mark.parametrize("spoken_s", [0.4, 0.5, 0.7])
def test_a_short_turn_of_somebody_else_has_not_the_label_of_who_spoke_before(
    spoken_s: float,
) -> None:
    speech = talk(Said(0, 8.0), Said(2, spoken_s, 1.0), Said(0, 3.0, 1.0))
    events = told(Tracker(PLAIN, 0.5), speech, plain_settings("anna"))
    first, second, third = of(Utterance, events)
    assert (first.state, first.voice) == ("match", "voice-1")
    assert second.state == "mismatch"
    assert second.voice != "voice-1"
    assert (third.state, third.voice) == ("match", "voice-1")


def test_after_a_reset_every_label_is_new() -> None:
    tracker, asked = Tracker(PLAIN, 0.5), plain_settings("anna")
    speech = talk(Said(0, 8.0), Said(2, 8.0), Said(0, 8.0))
    told(tracker, speech, asked)
    tracker.reset(24.0, 24 * SAMPLE_RATE_HZ, asked)
    assert tracker._voices.enter(AXES[2], 5.0).label == "voice-3"


def test_a_voice_keeps_its_name_where_another_person_is_matched_before_a_change_is_told() -> None:
    seldom = DecisionConfig(false_alarms_per_hour=1e-4)
    asked = plain_settings("anna", "bert", decisions=seldom)
    events = told(Tracker(PLAIN, 0.5), talk(Said(0, 6.0), Said(1, 3.0, pause_s=1.0)), asked)
    matched = [(one.speaker, one.voice) for one in of(Decision, events) if one.state == "match"]
    assert ("anna", "voice-1") in matched
    assert "bert" in [name for name, _ in matched]
    assert ("bert", "voice-1") not in matched
    labels = {turn.speaker: turn.voice for turn in of(Utterance, events)}
    assert labels["anna"] == "voice-1"
    assert labels["bert"] != "voice-1"
    assert {one.from_speaker for one in of(Change, events)} <= {"anna"}


def alike(*voiceprint_cosines: float) -> NDArray[np.float32]:
    """Voices so like Anna's voiceprint, of which none is told from another by their speech."""
    voices = AXES.copy()
    for number, cosine in enumerate(voiceprint_cosines):
        voices[number] = cosine * AXES[0] + np.sqrt(1 - cosine**2) * AXES[SIZE - 1]
    return voices


STRANGER, ANNA = 0, 1
TWO = alike(0.2, 0.95)


@pytest.mark.parametrize("pause_s", [0.7, 2.0, 10.0])
def test_a_match_after_a_stranger_is_another_voice(pause_s: float) -> None:
    speech = FakeSpeech(TWO, Said(STRANGER, 3.0), Said(ANNA, 4.0, pause_s))
    events = told(Tracker(PLAIN, 0.5), speech, plain_settings("anna"))
    first, last = of(Utterance, events)
    assert (first.state, first.voice) == ("mismatch", "voice-1")
    assert (last.state, last.voice) == ("match", "voice-2")
    (change,) = of(Change, events)
    assert (change.from_speaker, change.at) == ("voice-1", pytest.approx(3.0 + pause_s))
    assert of(Decision, events)[-1].state == "match"
    assert all(one.voice != "voice-1" for one in of(Decision, events) if one.state == "match")


def test_who_was_matched_keeps_the_name_and_the_stranger_the_label() -> None:
    said = [Said(STRANGER, 3.0), Said(ANNA, 4.0, 1.0), Said(STRANGER, 3.0, 1.0)]
    events = told(Tracker(PLAIN, 0.5), FakeSpeech(TWO, *said), plain_settings("anna"))
    states = [(one.state, one.voice) for one in of(Utterance, events)]
    assert states[:2] == [("mismatch", "voice-1"), ("match", "voice-2")]
    assert states[2] in (("mismatch", None), ("mismatch", "voice-1"))


def test_a_word_that_was_denied_makes_no_other_voice() -> None:
    """Of many short turns one is denied wrongly; less than decisions take is no ground."""
    speech = FakeSpeech(TWO, Said(STRANGER, 1.0), Said(ANNA, 4.0, 1.0))
    events = told(Tracker(PLAIN, 0.5), speech, plain_settings("anna"))
    assert [one.state for one in of(Utterance, events)] == ["mismatch", "match"]
    assert of(Change, events) == []


def test_what_was_denied_to_be_anna_may_be_bert_who_is_enrolled_later() -> None:
    tracker, speech = Tracker(PLAIN, 0.5), talk(Said(1, 4.0), Said(1, 4.0, 1.0))
    marks = list(speech.marks())
    settings = [plain_settings("anna"), plain_settings("anna", "bert", claimed=False)]
    events = [
        event
        for mark in marks
        for event in tracker.add(speech, KnownSpeech(mark, settings[mark.turn > 0], None))
    ]
    assert [(one.state, one.speaker) for one in of(Utterance, events)] == [
        ("mismatch", "anna"),
        ("match", "bert"),
    ]
    assert of(Change, events) == []
    assert len({one.voice for one in of(Utterance, events)}) == 1
