"""Labels and names of the voices of a session, as the tracker tells them."""

from __future__ import annotations

from itertools import groupby

import pytest
from fake_speech import Said
from tracked_talk import AXES, PLAIN, of, plain_settings, said_of, talk, told

from engine.decisions.config import DecisionConfig
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
