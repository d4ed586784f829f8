"""Alarms are fitted so that they err as often as is allowed, and no more."""

from __future__ import annotations

import numpy as np
import pytest

from engine.decisions.change_detector import ChangeScores
from models.calibration.alarm_fit import Trace, cross_fitted, delays, false_alarms, fit_alarm


def traces(count: int, gap: float, seed: int, own: int = 120) -> list[Trace]:
    """Claims around ``gap`` before the takeover and minus that after it; windows of 0.5 s."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        after_s = 0.5 * np.arange(-own + 1, 17)
        mean = np.where(after_s <= 0, gap, -gap)
        claims = mean + rng.standard_normal(len(after_s))
        parts = tuple(ChangeScores(float(c), float(rng.standard_normal()), 0.2) for c in claims)
        matched = np.ones(len(after_s), bool)
        found.append(Trace("source", parts, after_s, matched))
    return found


def test_the_weights_are_on_what_tells() -> None:
    alarm = fit_alarm(traces(60, 1.0, seed=1), ("claim", "voice"))
    assert alarm.claim > 1.0
    assert abs(alarm.voice) < 0.2
    assert fit_alarm(traces(20, 1.0, seed=1), ("voice",)).claim == 0.0


@pytest.mark.parametrize("per_hour", [20.0, 60.0])
def test_false_alarms_on_fresh_streams_are_as_many_as_allowed(per_hour: float) -> None:
    alarm = fit_alarm(traces(200, 0.7, seed=2), ("claim", "voice"))
    told = delays(traces(400, 0.7, seed=3), alarm, per_hour)
    assert told["hours"] == pytest.approx(400 * 119 * 0.5 / 3600, abs=0.01)
    assert per_hour / 2 < told["false_alarms"] / told["hours"] < per_hour * 2


def test_alarms_are_judged_on_streams_that_they_were_not_fitted_to() -> None:
    fitted_to = traces(60, 0.7, seed=12)
    fold = [number % 3 for number in range(60)]
    each = cross_fitted(fitted_to, ("claim", "voice"), fold)
    others = [trace for number, trace in enumerate(fitted_to) if number % 3 != 1]
    assert each[1] == each[4] == fit_alarm(others, ("claim", "voice"))
    assert len(set(map(repr, each))) == 3
    told = delays(fitted_to, each, 20.0)
    assert told["streams"] == 60
    assert delays(fitted_to, [each[0]] * 60, 20.0) == delays(fitted_to, each[0], 20.0)


def test_fewer_false_alarms_cost_delay() -> None:
    fitted = fit_alarm(traces(200, 0.7, seed=4), ("claim", "voice"))
    fresh = traces(100, 0.7, seed=5)
    told = [delays(fresh, fitted, rate)["delay_s_p50"] for rate in (60.0, 5.0, 0.1)]
    assert told == sorted(told)
    assert told[0] < told[-1] < 8.0


def test_streams_that_were_never_matched_are_left_out() -> None:
    known = traces(30, 1.0, seed=6)
    lost = [
        Trace(t.source, t.parts, t.after_s, np.zeros(len(t.matched), bool))
        for t in traces(30, 0.0, seed=7)
    ]
    alarm = fit_alarm(known, ("claim",))
    assert false_alarms([*known, *lost], alarm)[0] == false_alarms(known, alarm)[0]
    assert delays([*known, *lost], alarm, 1.0)["streams"] == 30
    assert fit_alarm([*known, *lost], ("claim",)) == alarm


def test_a_takeover_that_raises_no_alarm_is_later_than_any() -> None:
    alarm = fit_alarm(traces(30, 1.0, seed=8), ("claim",))
    told = delays(traces(30, -1e-9, seed=9, own=12), alarm, 1e-9)
    assert told["missed"] == 1.0
    assert told["delay_s_p50"] is told["delay_s_p95"] is None
