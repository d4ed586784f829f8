from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from models.benchmark_figures import Draws, percent, quantile, rate, ratio
from models.benchmark_tables import LEAVING
from models.benchmark_truth import (
    FirstDecision,
    Truth,
    Watch,
    by_threshold,
    first_decision,
    overlap_s,
    shares,
    watch,
)
from models.report import Figure

SPANS = np.array([[1.0, 5.0], [6.0, 20.0]])


def truth(**changed: Any) -> Truth:
    """The claimed speaker until 10 s, a stranger from there to 20."""
    values: dict[str, Any] = {
        "name": "takeover-000",
        "kind": "takeover",
        "claimed": "anna",
        "similar": True,
        "condition": "clean",
        "enrol_s": 10.0,
        "voices": (0, 1),
        "spans": SPANS,
        "begins_s": 1.0,
        "ends_s": 20.0,
        "stranger_at_s": 10.0,
        "turns": ((1.0, 5.0, True), (6.0, 10.0, True), (10.0, 20.0, False)),
    }
    return Truth(**(values | changed))


def test_speech_between_two_moments() -> None:
    assert overlap_s(SPANS, 0, 30) == 18
    assert overlap_s(SPANS, 4, 7) == 2
    assert overlap_s(SPANS, 5, 6) == 0
    assert overlap_s(np.empty((0, 2)), 0, 9) == 0


def test_the_first_decision_passes_over_doubt() -> None:
    states = [(2.0, "insufficient"), (3.0, "uncertain"), (7.0, "match"), (8.0, "mismatch")]
    assert first_decision(truth(), states) == FirstDecision("match", 5.0, 6.0)
    assert first_decision(truth(), [(2.0, "uncertain")]) is None
    assert first_decision(truth(), [(2.0, "unknown")]) == FirstDecision("unknown", 1.0, 1.0)


def test_a_takeover_that_is_told() -> None:
    seen = watch(truth(), [(2.0, "match"), (12.5, "mismatch")])
    assert seen == Watch(0, 7.0, True, 2.5, 2.5)


def test_the_delay_is_speech_and_not_the_clock() -> None:
    spans = np.array([[1.0, 5.0], [6.0, 11.0], [15.0, 20.0]])
    seen = watch(truth(spans=spans), [(2.0, "match"), (16.0, "mismatch")])
    assert (seen.delay_s, seen.wall_s) == (2.0, 6.0)


def test_a_takeover_that_is_missed_takes_for_ever() -> None:
    seen = watch(truth(), [(2.0, "match")])
    assert seen.followed
    assert math.isinf(seen.delay_s)


def test_an_alarm_before_the_takeover_is_false_and_leaves_nothing_to_follow() -> None:
    seen = watch(truth(), [(2.0, "match"), (4.0, "mismatch"), (12.0, "mismatch")])
    assert (seen.false_alarms, seen.followed) == (1, False)
    again = watch(truth(), [(2.0, "match"), (4.0, "mismatch"), (7.0, "match"), (11.0, "mismatch")])
    assert (again.false_alarms, again.followed, again.delay_s) == (1, True, 1.0)


def test_doubt_is_an_alarm_only_where_it_is_said_to_be() -> None:
    states = [(2.0, "match"), (4.0, "uncertain"), (5.0, "uncertain"), (7.0, "match")]
    assert watch(truth(), states).false_alarms == 0
    assert watch(truth(), states, LEAVING).false_alarms == 1
    lapsed = [(2.0, "match"), (4.0, "insufficient")]
    assert watch(truth(), lapsed, LEAVING).false_alarms == 0


def test_a_rejection_without_an_acceptance_is_no_alarm() -> None:
    seen = watch(truth(), [(2.0, "mismatch"), (12.0, "mismatch")])
    assert seen == Watch(0, 0.0, False, math.inf, math.inf)


def test_a_genuine_stream_is_watched_to_its_end() -> None:
    own = truth(stranger_at_s=None, turns=((1.0, 20.0, True),))
    assert own.genuine
    assert watch(own, [(6.0, "match"), (19.0, "mismatch")]).watched_s == 14.0
    assert watch(own, [(6.0, "match"), (19.0, "mismatch")]).false_alarms == 1


def test_a_running_score_becomes_states_as_it_changes() -> None:
    t, value = np.arange(6.0), np.array([0.8, 0.9, 0.7, 0.6, 0.5, 0.75])
    states = by_threshold(t, value, 0.75, 0.65)
    assert states == [(0.0, "match"), (2.0, "uncertain"), (3.0, "mismatch"), (5.0, "match")]
    assert by_threshold(np.empty(0), np.empty(0), 0.75, 0.65) == []


def test_shares_add_up_to_all_speech() -> None:
    found = shares(truth(), [(2.0, "match"), (12.0, "mismatch")])
    assert found[True] == pytest.approx(
        {"match": 7.0, "insufficient": 1.0, "uncertain": 0, "mismatch": 0, "unknown": 0}
    )
    assert found[False]["match"] == 2
    assert found[False]["mismatch"] == 8


def test_a_quantile_may_be_infinite() -> None:
    weights = np.ones((10, 4))
    values = [1.0, 2.0, math.inf, math.inf]
    assert quantile(values, weights, 0.5) == Figure(2.0, 2.0, 2.0)
    assert quantile(values, weights, 0.95).value == math.inf
    assert math.isnan(quantile([], np.ones((10, 0)), 0.5).value)


def test_a_quantile_follows_the_weights() -> None:
    weights = np.array([[1.0, 0, 0], [0, 0, 1], [0, 0, 0]])
    found = quantile([1.0, 2.0, 3.0], weights, 0.5)
    assert (found.low, found.value, found.high) == (1.0, 2.0, 3.0)


def test_what_never_happened_may_happen_three_times_in_as_many_tries() -> None:
    weights = np.ones((5, 30))
    assert rate([0.0] * 30, [1.0] * 30, weights) == Figure(0.0, 0.0, 0.1)
    assert percent(rate([0.0] * 2, [1.0] * 2, np.ones((5, 2)))) == Figure(0, 0, 100)
    assert rate([1.0, 0.0], [1.0, 3.0], np.ones((5, 2))) == Figure(0.25, 0.25, 0.25)
    assert math.isnan(percent(ratio([], [], np.ones((5, 0)))).value)


def test_a_conversation_weighs_as_often_as_its_voices_were_drawn() -> None:
    draws = Draws(3, 200, 0)
    one, both = truth(voices=(2,)), truth(voices=(0, 2))
    other = truth(voices=(0,))
    weights = draws.weights([one, both, other])
    assert weights.shape == (200, 3)
    np.testing.assert_array_equal(weights[:, 1], weights[:, 0] * weights[:, 2])
    np.testing.assert_array_equal(draws.weights([one]), weights[:, :1])
