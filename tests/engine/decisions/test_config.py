"""What the user states: bounds that follow from it, and what cannot be meant."""

from __future__ import annotations

import math

import pytest

from engine.decisions.config import DecisionConfig


def test_bounds_are_walds() -> None:
    config = DecisionConfig(false_accept=0.001, miss=0.1)
    assert config.accept_llr == pytest.approx(math.log(900))
    assert config.reject_llr == pytest.approx(math.log(0.1 / 0.999))


@pytest.mark.parametrize("wrong", [0.0, 0.5, -1.0, 2.0, float("nan")])
@pytest.mark.parametrize("name", ["false_accept", "miss"])
def test_error_rates_lie_in_between(name: str, wrong: float) -> None:
    with pytest.raises(ValueError, match="strictly between"):
        DecisionConfig(**{name: wrong})


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan")])
@pytest.mark.parametrize("name", ["false_alarms_per_hour", "false_changes_per_hour"])
def test_no_budget_at_all_cannot_be_kept(name: str, wrong: float) -> None:
    with pytest.raises(ValueError, match="more than none"):
        DecisionConfig(**{name: wrong})
