from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.benchmark.estimates import Draws, percent, quantile, rate, ratio
from models.benchmark.truth import Truth
from models.evaluation.report import Estimate

Make = Callable[..., Truth]
weighted = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 2.5, 4.0, math.inf]), st.integers(0, 4)),
    min_size=1,
    max_size=12,
)


def test_a_quantile_may_be_infinite() -> None:
    weights = np.ones((10, 4))
    values = [1.0, 2.0, math.inf, math.inf]
    assert quantile(values, weights, 0.5) == Estimate(2.0, 2.0, 2.0)
    assert quantile(values, weights, 0.95).value == math.inf
    assert math.isnan(quantile([], np.ones((10, 0)), 0.5).value)


def test_a_quantile_follows_the_weights() -> None:
    weights = np.array([[1.0, 0, 0], [0, 0, 1], [0, 0, 0]])
    found = quantile([1.0, 2.0, 3.0], weights, 0.5)
    assert (found.low, found.value, found.high) == (1.0, 2.0, 3.0)


@settings(max_examples=50)
@given(weighted, st.sampled_from([0.25, 0.5, 0.75]))
def test_a_weight_is_as_good_as_so_many_copies(some: list[tuple[float, int]], q: float) -> None:
    values, copies = [value for value, _ in some], [count for _, count in some]
    found = quantile(values, np.array([copies], np.float64), q)
    ordered = sorted(values)
    assert found.value == ordered[math.ceil(q * len(ordered)) - 1]
    drawn = sorted(value for value, count in some for _ in range(count))
    if drawn:
        assert found.low == found.high == drawn[math.ceil(q * len(drawn)) - 1]
    else:
        assert math.isnan(found.low)


def test_the_interval_of_a_quantile_leaves_out_a_fortieth_at_either_end() -> None:
    found = quantile([float(i) for i in range(200)], np.eye(200)[::-1], 0.5)
    assert (found.low, found.high) == (5.0, 195.0)
    late = quantile([0.0] * 190 + [math.inf] * 10, np.eye(200), 0.5)
    assert (late.low, late.value, late.high) == (0.0, 0.0, math.inf)


def test_a_ratio_is_sum_over_sum_and_draws_without_any_are_left_out() -> None:
    weights = np.array([[1.0, 0], [0, 1], [0, 0], [1, 0], [0, 1]])
    assert ratio([1.0, 3.0], [4.0, 6.0], weights) == Estimate(0.4, 0.25, 0.5)
    assert math.isnan(ratio([1.0, 3.0], [0.0, 0.0], weights).value)


def test_what_never_happened_may_happen_three_times_in_as_many_tries() -> None:
    weights = np.ones((5, 30))
    assert rate([0.0] * 30, [1.0] * 30, weights) == Estimate(0.0, 0.0, 0.1)
    assert percent(rate([0.0] * 2, [1.0] * 2, np.ones((5, 2)))) == Estimate(0, 0, 100)
    assert rate([1.0, 0.0], [1.0, 3.0], np.ones((5, 2))) == Estimate(0.25, 0.25, 0.25)
    assert math.isnan(percent(ratio([], [], np.ones((5, 0)))).value)


def test_a_rate_of_no_tries_is_unknown_and_not_none() -> None:
    for exposure in ([], [0.0, 0.0]):
        found = rate([0.0] * len(exposure), exposure, np.ones((5, len(exposure))))
        assert math.isnan(found.value)
        assert math.isnan(found.high)


def test_a_rate_by_the_hour_may_be_over_one_and_a_share_may_not() -> None:
    assert rate([0.0], [0.5], np.ones((5, 1))).high == 6.0
    assert percent(Estimate(0.25, 0.125, 1.5)) == Estimate(25, 12.5, 100)


def test_a_conversation_weighs_as_often_as_its_voices_were_drawn(truth: Make) -> None:
    draws = Draws(3, 200, 0)
    one, both = truth(voices=(2,)), truth(voices=(0, 2))
    other = truth(voices=(0,))
    weights = draws.weights([one, both, other])
    assert weights.shape == (200, 3)
    np.testing.assert_array_equal(weights[:, 1], weights[:, 0] * weights[:, 2])
    np.testing.assert_array_equal(draws.weights([one]), weights[:, :1])


def test_each_draw_is_of_as_many_speakers_as_there_are(truth: Make) -> None:
    each = [truth(voices=(i,)) for i in range(5)]
    weights = Draws(5, 40, 1).weights(each)
    assert weights.sum(axis=1) == pytest.approx(5)
    assert weights.max() > 1
    assert Draws(5, 40, 1).weights([]).shape == (40, 0)
    np.testing.assert_array_equal(Draws(5, 40, 1).weights(each), weights)
    assert not np.array_equal(Draws(5, 40, 2).weights(each), weights)
