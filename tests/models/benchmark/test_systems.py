from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from models.benchmark.curves import sweep_variants
from models.benchmark.engine import SessionRecord, TurnVerdict
from models.benchmark.estimates import Draws
from models.benchmark.outcomes import NO
from models.benchmark.results import ConversationResult
from models.benchmark.rivals import Rival, RunningScore
from models.benchmark.systems import COSINE, OURS, curves_of, in_the_end, systems_of
from models.benchmark.tables import LEAVING
from models.benchmark.truth import Truth

Make = Callable[..., Truth]
DRAWS = Draws(2, 20, 0)


def rival(name: str = "Coin") -> Rival:
    """Of a rival's process these need what it says of itself."""
    about = SimpleNamespace(name=name, accept=0.8, reject=0.6)
    return cast("Rival", SimpleNamespace(about=about))


def heard(t: list[float], cosine: list[float], window_s: list[float]) -> SessionRecord:
    none, spans = np.empty(0), np.array([[1.0, 20.0]])
    scores = [np.array(some) for some in (t, t, cosine, window_s)]
    return SessionRecord(spans, ((4.0, "match"),), *scores, none, ())


def result(truth: Truth, **changed: Any) -> ConversationResult:
    claimed = heard([2.0, 4.0, 12.0], [0.1, 0.9, 0.2], [1.0, 2.0, 3.0])
    values: dict[str, Any] = {
        "truth": truth, "turns": (), "claimed": claimed, "unclaimed": None,
        "variants": {}, "rivals": {},
    }  # fmt: skip
    return ConversationResult(**(values | changed))


@pytest.fixture
def running() -> RunningScore:
    return RunningScore(np.array([3.0, 5.0, 12.0]), np.array([0.9, 0.7, 0.5]))


def test_the_engine_alone_has_states_of_its_own(truth: Make) -> None:
    (ours,) = systems_of([], None)
    assert (ours.name, ours.alarms) == (OURS, LEAVING)
    assert ours.states(result(truth())) == ((4.0, "match"),)
    assert ours.states(result(truth(), claimed=None)) is None


def test_verdicts_hold_for_their_turns_and_nothing_between_them(truth: Make) -> None:
    verdicts = (TurnVerdict(1.0, 4.0, "match"), TurnVerdict(6.0, 7.0, "mismatch"))
    said = replace(heard([2.0], [0.1], [1.0]), verdicts=verdicts)
    assert in_the_end().states(result(truth(), claimed=said)) == [
        (1.0, "match"),
        (4.0, "insufficient"),
        (6.0, "mismatch"),
        (7.0, "insufficient"),
    ]
    assert in_the_end().states(result(truth(), claimed=None)) is None


def test_our_cosine_has_one_bound_and_needs_speech_behind_it(truth: Make) -> None:
    _, cosine = systems_of([], 0.5)
    assert cosine.name == f"{COSINE} at 0.50"
    assert cosine.alarms == NO
    # The first score, of 1 s of speech, is passed over.
    assert cosine.states(result(truth())) == [(4.0, "match"), (12.0, "mismatch")]
    assert cosine.states(result(truth(), claimed=None)) is None


def test_each_rival_has_its_own_bounds(truth: Make, running: RunningScore) -> None:
    _, coin, dice = systems_of([rival(), rival("Dice")], None)
    assert coin.name == "Coin at 0.8/0.6"
    some = result(truth(), rivals={"Coin": running})
    assert coin.states(some) == [(3.0, "match"), (5.0, "uncertain"), (12.0, "mismatch")]
    assert dice.states(some) is None


def test_curves_are_of_what_every_system_heard(truth: Make, running: RunningScore) -> None:
    """A second takeover that the rival never heard would change our share of missed ones."""
    never = {variant.name: [(4.0, "match")] for variant in sweep_variants()}
    caught = {name: [(4.0, "match"), (12.0, "mismatch")] for name in never}
    both = result(truth(name="takeover-000"), variants=caught, rivals={"Coin": running})
    ours = result(truth(name="takeover-001"), variants=never)
    genuine: dict[str, Any] = {
        "kind": "single", "similar": None, "voices": (0,), "stranger_at_s": None,
        "turns": ((1.0, 20.0, True),),
    }  # fmt: skip
    alone = result(truth(name="single-000", **genuine), variants=never, rivals={"Coin": running})
    curves = {c.system: c for c in curves_of([both, ours, alone], [rival()], DRAWS)}
    assert set(curves) == {OURS, COSINE, "Coin"}
    assert {point.missed for point in curves[OURS].points} == {0.0}
    without = {c.system: c for c in curves_of([both, ours, alone], [], DRAWS)}
    assert set(without) == {OURS, COSINE}
    assert {point.missed for point in without[OURS].points} == {0.5}


def test_a_running_score_of_nothing_has_no_curve(truth: Make) -> None:
    silent = result(truth(), claimed=heard([], [], []), variants={})
    assert [curve.system for curve in curves_of([silent], [], DRAWS)] == [OURS]
