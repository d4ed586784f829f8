"""The tracker says why it is in doubt, and what would help."""

from __future__ import annotations

import numpy as np
import pytest
from fake_speech import FakeSpeech, Said
from tracked_talk import ASKED, AXES, PLAIN, of, plain_settings, talk, told

from engine.decisions.config import DecisionConfig
from engine.decisions.tracker import Tracker
from engine.decisions.tracker_settings import TrackerSettings
from engine.events import Decision, Utterance
from engine.format import unit
from engine.scoring.identify import EnrolledVoiceprints


@pytest.mark.parametrize(("per_hour", "state"), [(60.0, "uncertain"), (1.0, "match")])
def test_a_match_is_in_doubt_by_odds_that_follow_from_the_budget(
    per_hour: float, state: str
) -> None:
    """A voice between the two, from the start of a turn, of which nothing is certain."""
    between = unit(0.5 * AXES[0] + np.float32(0.866) * AXES[5])
    speech = FakeSpeech(np.stack([AXES[0], between]), Said(0, 6.0), Said(1, 6.0, 2.0))
    asked = plain_settings("anna", decisions=DecisionConfig(false_alarms_per_hour=per_hour))
    found = of(Decision, told(Tracker(PLAIN, 0.5), speech, asked))
    assert (found[-1].state, found[-1].speaker) == (state, "anna")
    doubted = [one.cause for one in found if one.state == "uncertain"]
    assert doubted[:1] == (["another-voice"] if state == "uncertain" else [])


def test_two_enrolled_with_like_voices_are_named_as_the_reason_for_doubt() -> None:
    def decided(*names: str) -> list[Decision]:
        people = EnrolledVoiceprints({name: PLAIN.prepare(AXES[:1], 10.0) for name in names})
        settings = TrackerSettings(people, False, ASKED)
        return of(Decision, told(Tracker(PLAIN, 0.5), talk(Said(0, 6.0)), settings))

    last = decided("anna", "bert")[-1]
    assert last.state == "uncertain"
    assert last.reason.startswith("anna and bert have like voices: evidence ")
    sure = decided("anna")
    assert sure[-1].state == "match"
    assert "like voices" not in "".join(one.reason for one in sure)


def test_doubt_that_lasts_says_that_more_speech_of_the_kind_cannot_decide() -> None:
    """A voice between the two whose ratio does not grow with its speech."""
    between = unit(0.6 * AXES[0] + np.float32(0.8) * AXES[5])
    speech = FakeSpeech(between[None], Said(0, 20.0))
    events = told(Tracker(PLAIN, 0.5), speech, plain_settings("anna"))
    first, *rest = of(Decision, events)
    assert (first.state, first.cause) == ("insufficient", "little-speech")
    assert {one.state for one in rest} == {"uncertain"}
    assert rest[-1].cause == "saturated"
    assert "more speech of this kind cannot decide: evidence +1." in rest[-1].advice
    assert {one.since for one in rest} == {rest[0].since}
    assert rest[-1].attainable_llr == pytest.approx(rest[-1].evidence, abs=1.0)
    (verdict,) = of(Utterance, events)
    assert (verdict.state, verdict.cause) == ("uncertain", "saturated")
    assert verdict.enrolled_s == 10.0


def test_a_settled_decision_has_no_cause_and_says_the_rate_behind_its_bound() -> None:
    strict = DecisionConfig(false_accept=0.002)
    events = told(Tracker(PLAIN, 0.5), talk(Said(0, 6.0)), plain_settings("anna", decisions=strict))
    last = of(Decision, events)[-1]
    assert (last.state, last.cause) == ("uncertain", "more-speech")
    settled = of(Decision, told(Tracker(PLAIN, 0.5), talk(Said(0, 6.0)), plain_settings("anna")))
    assert (settled[-1].state, settled[-1].cause, settled[-1].advice) == ("match", None, "")
    assert (last.false_accept, settled[-1].false_accept) == (0.002, 0.01)


def test_two_like_voices_are_the_cause() -> None:
    both = {name: PLAIN.prepare(AXES[:1], 10.0) for name in ("anna", "bert")}
    people = TrackerSettings(EnrolledVoiceprints(both), False, ASKED)
    events = told(Tracker(PLAIN, 0.5), talk(Said(0, 6.0)), people)
    assert {one.cause for one in of(Decision, events)} == {"little-speech", "like-voices"}
    assert all(one.cause == "like-voices" for one in of(Utterance, events))
