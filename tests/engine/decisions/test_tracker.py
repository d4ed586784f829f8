"""The tracker: many speakers at once are scored as each alone, and states lapse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_scorers import fake_scorer
from fake_speech import FakeSpeech, Said
from tracked_talk import ASKED, AXES, PLAIN, SIZE, of, plain_settings, said_of, talk, told

from engine.decisions.config import DecisionConfig
from engine.decisions.known_speech import KnownSpeech
from engine.decisions.tracker import Tracker
from engine.decisions.tracker_settings import TrackerSettings
from engine.events import AnyEvent, Change, Decision, Score, Utterance
from engine.format import SAMPLE_RATE_HZ, unit
from engine.model.manifest import Calibration, DecisionFigures
from engine.scoring.identify import EnrolledVoiceprints
from engine.scoring.scorer import PreparedEmbeddings


def units(seed: int, count: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, SIZE)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


SCORER = fake_scorer(
    SIZE,
    Calibration(half_speech_s=1.0, slope=(1.0, 0.5), offset=(-2.0, -1.0, 0.0)),
    cohort=units(9, 40),
)
VOICES = units(1, 6)
ENROLLED = {
    name: SCORER.prepare(VOICES[rows], np.linspace(10, 20, len(rows)))
    for name, rows in {"carla": [0], "anna": [1, 2, 3], "berta": [4, 5]}.items()
}


def settings(voiceprints: dict[str, PreparedEmbeddings], *, claimed: bool) -> TrackerSettings:
    return TrackerSettings(EnrolledVoiceprints(voiceprints), claimed, DecisionConfig())


@pytest.mark.parametrize("row", range(6))
def test_speakers_are_scored_together_as_each_alone(row: int) -> None:
    heard = (VOICES[row] + 0.1 * VOICES[0]) / np.linalg.norm(VOICES[row] + 0.1 * VOICES[0])
    speech = FakeSpeech(heard[None], Said(0, 1.4))

    def scores(people: dict[str, PreparedEmbeddings], *, claimed: bool) -> list[Score]:
        return of(Score, told(Tracker(SCORER, 0.5), speech, settings(people, claimed=claimed)))

    together = scores(ENROLLED, claimed=True)
    assert [s.speaker for s in together] == ["anna", "berta", "carla"]
    for score in together:
        (alone,) = scores({score.speaker: ENROLLED[score.speaker]}, claimed=True)
        assert score.llr == pytest.approx(alone.llr, abs=1e-6)
        assert score.norm == pytest.approx(alone.norm, abs=1e-6)
        nearest = (ENROLLED[score.speaker].embeddings @ heard).max()
        assert score.cosine == pytest.approx(nearest, abs=1e-6)
    (best,) = scores(ENROLLED, claimed=False)
    ranked = sorted(together, key=lambda s: -s.llr)
    assert (best.speaker, best.runner_up) == (ranked[0].speaker, ranked[1].speaker)


def test_a_lapse_is_told_once_and_only_of_something_known() -> None:
    tracker, asked = Tracker(PLAIN, 0.5), plain_settings("anna")
    assert tracker.lapse(1.0, 0.0, "why", asked) == []
    told(tracker, talk(Said(0, 3.0)), asked)
    (lapsed,) = tracker.lapse(40.0, 3.0, "why", asked)
    assert isinstance(lapsed, Decision)
    assert (lapsed.state, lapsed.speaker, lapsed.reason) == ("insufficient", "anna", "why")
    assert tracker.lapse(50.0, 3.0, "why", asked) == []


def test_who_was_identified_is_not_named_after_a_lapse() -> None:
    tracker, asked = Tracker(PLAIN, 0.5), plain_settings("anna", "bert", claimed=False)
    assert said_of(told(tracker, talk(Said(0, 3.0)), asked))[-1] == ("match", "anna")
    (lapsed,) = tracker.lapse(40.0, 3.0, "why", asked)
    assert isinstance(lapsed, Decision)
    assert lapsed.speaker is None


def test_match_is_counted_in_speech() -> None:
    tracker = Tracker(PLAIN, 0.5)
    told(tracker, talk(Said(0, 4.0), Said(0, 4.0, 20.0)), plain_settings("anna"))
    assert tracker.match_s == pytest.approx(8.0 - ASKED.decide_s)


@pytest.mark.parametrize("pause_s", [0.8, 1.0, 3.0, 10.0, 20.0])
def test_a_turn_is_judged_by_itself_and_the_owner_is_back_at_once(pause_s: float) -> None:
    speech = talk(Said(0, 5.0), Said(2, 2.0, pause_s), Said(0, 2.0, pause_s))
    events = told(Tracker(PLAIN, 0.5), speech, plain_settings("anna"))
    verdicts = [event.state for event in of(Utterance, events)]
    assert verdicts == ["match", "mismatch", "match"]
    states = [event for event in of(Decision, events) if event.t > 5.0 + pause_s]
    assert states[-1].state == "match"
    returns = speech.timeline.begins(7 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    assert states[-1].t <= returns + 1.0


def test_no_state_contradicts_its_own_ratio() -> None:
    speech = talk(*(Said(voice, 1.0, 1.0) for voice in (0, 1, 2, 0, 3, 1)))
    for claimed in (True, False):
        for people in (["anna"], ["anna", "bert"]):
            asked = plain_settings(*people, claimed=claimed)
            for event in of(Utterance, told(Tracker(PLAIN, 0.5), speech, asked)):
                assert event.evidence is not None
                if event.state == "match":
                    assert event.evidence >= event.accept_llr
                    assert event.llr > 0
                elif event.state in ("mismatch", "unknown"):
                    assert event.evidence <= event.reject_llr
                    assert event.llr < 0


def test_a_takeover_is_a_mismatch_from_when_it_happened() -> None:
    events = told(Tracker(PLAIN, 0.5), talk(Said(0, 12.0), Said(2, 8.0)), plain_settings("anna"))
    (change,) = of(Change, events)
    assert change.at == pytest.approx(12.0, abs=0.1)
    assert change.detected_at <= 14.0
    assert (change.from_speaker, change.to_speaker) == ("anna", "voice-2")
    found = of(Decision, events)
    assert (found[0].state, found[-1].state) == ("insufficient", "mismatch")
    assert found[-1].t <= 14.0
    told_of = next(d for d in found if d.reason.startswith("another voice since 12.0 s"))
    assert told_of.since == change.at
    assert found[-1].voice == "voice-2"


def test_a_change_inside_a_turn_divides_its_verdict() -> None:
    events = told(Tracker(PLAIN, 0.5), talk(Said(0, 6.0), Said(2, 4.0)), plain_settings("anna"))
    verdicts = [(e.state, e.voice, e.start, e.end) for e in of(Utterance, events)]
    assert verdicts == [
        ("match", "voice-1", 0.0, pytest.approx(6.0, abs=0.1)),
        ("mismatch", "voice-2", pytest.approx(6.0, abs=0.1), 10.0),
    ]


SELDOM = DecisionConfig(false_alarms_per_hour=1e-3)  # no match is given up for a second of speech


@pytest.mark.parametrize("pause_s", [0.0, 0.3])
def test_an_interjection_that_passes_while_a_match_stands_has_a_verdict_of_its_own(
    pause_s: float,
) -> None:
    speech = talk(Said(0, 8.0), Said(2, 1.0, pause_s), Said(0, 6.0, pause_s))
    events = told(Tracker(PLAIN, 0.5), speech, plain_settings("anna", decisions=SELDOM))
    assert not of(Change, events)
    assert said_of(events)[-1] == ("match", "anna")
    verdicts = of(Utterance, events)
    assert [(e.state, e.voice) for e in verdicts] == [
        ("match", "voice-1"),
        ("mismatch", None),
        ("match", "voice-1"),
    ]
    assert (verdicts[1].start, verdicts[1].end) == pytest.approx((8.0 + pause_s, 9.0 + pause_s))
    assert verdicts[2].start == pytest.approx(9.0 + 2 * pause_s)


def test_an_interjection_at_the_end_of_a_turn_has_a_verdict_of_its_own() -> None:
    speech = talk(Said(0, 8.0), Said(2, 1.0), Said(0, 6.0, 2.0))
    events = told(Tracker(PLAIN, 0.5), speech, plain_settings("anna", decisions=SELDOM))
    assert not of(Change, events)
    assert [e.state for e in of(Utterance, events)] == ["match", "mismatch", "match"]


def test_what_seems_another_voice_before_a_reset_is_no_part_of_a_turn_after_it() -> None:
    """A few samples that the reset cut off are no turn, and nobody took what they were part of."""
    speech = talk(Said(0, 8.0), Said(2, 1.0), Said(2, 0.05, 0.7), Said(2, 6.0, 0.7))
    tracker, asked = Tracker(PLAIN, 0.5), plain_settings("anna", decisions=SELDOM)
    events: list[AnyEvent] = []
    for mark in speech.marks():
        events += tracker.add(speech, KnownSpeech(mark, asked))
        if mark.turn == 9 * SAMPLE_RATE_HZ:
            events += tracker.reset(9.75, mark.position, asked)
    assert [e.state for e in of(Utterance, events)] == ["match", "mismatch", "mismatch"]


def test_one_voice_has_one_verdict_on_a_turn() -> None:
    events = told(Tracker(PLAIN, 0.5), talk(Said(0, 20.0)), plain_settings("anna"))
    assert len(of(Utterance, events)) == 1


def test_turns_are_heard_with_the_silence_behind_them_and_nothing_else_is() -> None:
    speech = talk(Said(0, 6.0), Said(1, 2.0, 3.0), Said(0, 4.0, 1.0))
    told(Tracker(PLAIN, 0.5), speech, plain_settings("anna"))
    assert speech.with_margins == speech.turns
    assert len(speech.without_margins) > 20


def test_a_match_is_not_given_up_at_the_bound_of_a_first_decision() -> None:
    """One of the budget holds while the evidence is below what rejects a claim at first."""
    budget = ASKED.false_alarms_per_hour
    assert DecisionFigures().takeover.height(budget) > -ASKED.reject_llr

    def last(said: list[Said], asked: DecisionConfig) -> str:
        other = unit(0.25 * AXES[0] + np.float32(0.968) * AXES[5])  # an LLR of -3
        voices = np.stack([AXES[0], other])
        tracker = Tracker(PLAIN, 0.5)
        events = told(tracker, FakeSpeech(voices, *said), plain_settings("anna", decisions=asked))
        return of(Decision, events)[-1].state

    strict = replace(ASKED, miss=0.2)  # rejects at -1.6
    assert last([Said(1, 3.0)], strict) == "mismatch"
    assert last([Said(0, 6.0), Said(1, 1.0, 2.0)], replace(strict, false_alarms_per_hour=60)) != (
        "match"
    )
    assert last([Said(0, 6.0), Said(1, 1.0, 2.0)], replace(strict, false_alarms_per_hour=0.01)) == (
        "match"
    )


def test_the_budget_of_false_alarms_decides_how_soon_a_change_is_told() -> None:
    voices = np.stack([AXES[0], unit(0.3 * AXES[0] + np.float32(0.954) * AXES[4])])
    speech = FakeSpeech(voices, Said(0, 10.0), Said(1, 10.0))

    def first(per_hour: float) -> float:
        asked = plain_settings(decisions=DecisionConfig(false_changes_per_hour=per_hour))
        changes = of(Change, told(Tracker(PLAIN, 0.5), speech, asked))
        return changes[0].detected_at if changes else np.inf

    assert first(500.0) < first(1.0)


def test_decisions_and_scores_carry_the_evidence_and_its_bounds() -> None:
    events = told(Tracker(PLAIN, 0.5), talk(Said(0, 6.0)), plain_settings("anna"))
    config = DecisionConfig()
    for decision in of(Decision, events):
        assert (decision.accept_llr, decision.reject_llr) == (config.accept_llr, config.reject_llr)
        assert decision.evidence == pytest.approx(6.0)
    assert all(s.evidence == pytest.approx(6.0) for s in of(Score, events))


def between_axes(**shares: float) -> np.ndarray:
    """A voice that is so much like the people of these axes, and else like nobody."""
    row = np.zeros(SIZE, np.float32)
    for name, share in shares.items():
        row[("anna", "bert").index(name)] = share
    row[5] = np.sqrt(1 - (row**2).sum())
    return row


@pytest.mark.parametrize("claimed", [True, False])
def test_a_turn_that_denies_several_is_told_the_evidence_it_was_denied_by(claimed: bool) -> None:
    """By the best of them alone it would be open: that it is any of two is half as likely."""
    speech = FakeSpeech(between_axes(anna=0.26)[None], Said(0, 4.0))
    events = told(Tracker(PLAIN, 0.5), speech, plain_settings("anna", "bert", claimed=claimed))
    (verdict,) = of(Utterance, events)
    assert verdict.state == ("mismatch" if claimed else "unknown")
    assert verdict.llr > ASKED.reject_llr
    assert verdict.evidence <= ASKED.reject_llr
    assert verdict.reason.startswith(f"evidence {verdict.evidence:.1f} is below the bound")


def test_a_mismatch_is_not_told_anew_where_another_of_the_denied_is_nearest() -> None:
    voices = np.stack([between_axes(anna=0.2), between_axes(bert=0.45)])
    speech = FakeSpeech(voices, Said(0, 6.0), Said(1, 24.0))
    events = told(Tracker(PLAIN, 0.5), speech, plain_settings("anna", "bert"))
    denied = [one for one in of(Decision, events) if one.state == "mismatch"]
    assert [one.speaker for one in denied] == ["anna"]
    assert all(one.evidence <= ASKED.reject_llr for one in denied)
