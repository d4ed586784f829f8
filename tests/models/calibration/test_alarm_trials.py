from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.model.manifest import DecisionFigures
from engine.scoring.scorer import CalibratedScorer
from models.calibration import alarm_trials
from models.calibration.evidence_streams import Talk
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
