from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.model.bundle import Bundle
from engine.model.encoder import Encoder
from engine.model.manifest import DecisionFigures
from engine.scoring.scorer import CalibratedScorer
from engine.scoring.worth import worth_s
from models.calibration import alarm_trials
from models.calibration.evidence_streams import Talk
from models.calibration.evidence_trials import runs
from tests.models.calibration.conftest import RATE, Ends, any_source, followed, other


def test_alarms_are_measured_where_turns_begin_as_they_do_live(
    talk: Talk, encoder: Ends, scorer: CalibratedScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int]] = []

    class Told:
        def __init__(self, *arguments: Any) -> None:
            self.places = self

        def begin_turn(self, position: int, pause_s: float) -> None:
            assert pause_s >= 0.7
            told.append(("turn", position))

        def step(self, spans: Any, position: int, enrolled: Any) -> None:
            told.append(("step", position))

    monkeypatch.setattr(alarm_trials, "ChangeFilter", Told)
    said = [replace(talk, begins=tuple(range(RATE, 6 * RATE, RATE))), other(talk, 1)]
    stream, _ = followed(said[0], said, encoder, scorer)
    alarm_trials.traces(any_source(scorer), [stream], DecisionFigures(), claimed=True)
    turns = [place for what, place in told if what == "turn"]
    assert turns == [place for place, _ in stream.turns]
    assert len(turns) > 1
    for turn in turns:
        at = told.index(("turn", turn))
        assert all(place <= turn for what, place in told[:at] if what == "step")
        assert all(place > turn for what, place in told[at:] if what == "step")


def test_speech_is_held_against_voiceprints_for_its_worth_and_against_itself_as_it_is(
    talk: Talk, heard_bundle: Bundle
) -> None:
    scorer, encoder = CalibratedScorer(heard_bundle), Encoder(heard_bundle, "cpu")
    stream, _ = followed(talk, [talk, other(talk, 1)], encoder, scorer)
    found = alarm_trials.continuations(any_source(scorer), [stream])
    # The first compares the 0.5 s after 2 s with those.
    asked = [(0, 2 * RATE), (2 * RATE, 5 * RATE // 2)]
    before, after = stream.spans.heard(asked)[0]
    how = stream.spans.heard(asked)[1][1]
    worth = worth_s(scorer.calibration, 0.5, how).item()
    assert worth < 0.4
    enrolled = talk.enrolled.embeddings[0], 20.0
    assert found[0].claim == pytest.approx(scorer.score(*enrolled, after, worth).llr, abs=1e-3)
    assert found[0].voice == pytest.approx(scorer.score(before, 2.0, after, 0.5).llr, abs=1e-3)
    places = [mark.position for mark in stream.own]
    heard = stream.spans.heard([(0, place) for place in places])[1]
    for (length, run), place, one in zip(
        runs(scorer, stream, stream.own), places, heard, strict=True
    ):
        assert length == place / RATE
        np.testing.assert_allclose(run.speech_s, worth_s(scorer.calibration, length, one))
        assert run.speech_s < 0.8 * length
