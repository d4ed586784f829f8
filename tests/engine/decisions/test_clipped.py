"""Speech that is cut flat, by which nobody is denied: the right voice comes out as another one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from fake_speech import FakeSpeech, Said
from tracked_talk import AXES, PLAIN, of, plain_settings, said_of

from engine.audio.speech_levels import SpeechLevels
from engine.decisions.known_speech import KnownSpeech
from engine.decisions.tracker import Tracker
from engine.events import AnyEvent, Decision, Utterance
from engine.format import SAMPLE_RATE_HZ

OWNER, OTHER = 0, 2


def told(
    said: Sequence[Said], clipped: Sequence[float], *, claimed: bool = True
) -> tuple[list[AnyEvent], Utterance]:
    """What is told of a conversation of whose parts such shares are at full scale; and of all."""
    levels, rng = SpeechLevels(), np.random.default_rng(1)
    for part, share in zip(said, clipped, strict=True):
        size = round(part.speech_s * SAMPLE_RATE_HZ)
        full = np.where(rng.random(size) < share, 1.0, rng.uniform(-0.5, 0.5, size))
        levels.push(full.astype(np.float32))
    tracker, speech = Tracker(PLAIN, 0.5), FakeSpeech(AXES, *said)
    asked = plain_settings("anna", claimed=claimed)
    events: list[AnyEvent] = []
    for mark in speech.marks():
        events += tracker.add(speech, KnownSpeech(mark, asked, levels=levels))
    return events, tracker.overall(speech, speech.timeline.position, asked)


@pytest.mark.parametrize(("claimed", "denied"), [(True, "mismatch"), (False, "unknown")])
def test_clipped_speech_denies_nobody_and_says_why(claimed: bool, denied: str) -> None:
    events, overall = told([Said(OTHER, 5.0)], [0.4], claimed=claimed)
    (turn,) = of(Utterance, events)
    last = of(Decision, events)[-1]
    assert denied not in {one.state for one in events if isinstance(one, Decision | Utterance)}
    for one in (turn, overall, last):
        assert (one.state, one.cause) == ("uncertain", "clipped")
        assert one.evidence < one.reject_llr
        assert one.advice.startswith("the sound is clipped (4")
        assert one.reason.endswith("too much of it is clipped to deny anybody")


@pytest.mark.parametrize("claimed", [True, False])
def test_a_few_clipped_samples_change_nothing(claimed: bool) -> None:
    events, overall = told([Said(OTHER, 5.0)], [0.08], claimed=claimed)
    denied = "mismatch" if claimed else "unknown"
    assert of(Utterance, events)[-1].state == of(Decision, events)[-1].state == denied
    assert overall.state == denied


def test_whom_clipped_speech_is_like_is_matched() -> None:
    events, overall = told([Said(OWNER, 5.0)], [0.6])
    assert said_of(events)[-1] == ("match", "anna")
    assert of(Utterance, events)[-1].state == overall.state == "match"


def test_who_was_denied_by_good_sound_stays_denied_when_it_is_clipped() -> None:
    events, _ = told([Said(OTHER, 5.0), Said(OTHER, 5.0, 1.0)], [0.0, 0.5])
    assert [one.state for one in of(Decision, events)] == ["insufficient", "mismatch"]
    assert [one.state for one in of(Utterance, events)] == ["mismatch", "uncertain"]


def test_a_match_ends_in_doubt_where_what_follows_is_clipped() -> None:
    events, _ = told([Said(OWNER, 8.0), Said(OTHER, 4.0)], [0.0, 0.5])
    states = [one.state for one in of(Decision, events)]
    assert "match" in states
    assert "mismatch" not in states
    assert states[-1] == "uncertain"
    assert {one.state for one in of(Utterance, events)} <= {"match", "uncertain"}


def test_better_sound_denies_again() -> None:
    events, _ = told([Said(OTHER, 3.0), Said(OTHER, 30.0, 1.0)], [0.5, 0.0])
    states = [one.state for one in of(Decision, events)]
    assert states.index("uncertain") < states.index("mismatch")
