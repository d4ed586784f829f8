"""Alarms are fitted so that they err as often as is allowed, and no more."""

from __future__ import annotations

import numpy as np
import pytest

from engine.model.manifest import AlarmFigures
from models.calibration.alarm_fit import (
    Continuation,
    Trace,
    cross_fitted,
    delays,
    false_alarms,
    fit_rate,
    fit_weights,
)
from models.calibration.errors import CalibrationError

ALARM = AlarmFigures(claim=1.0, voice=1.0, offset=0.0, log_rate=0.0, decay=1.0)


def traces(count: int, gap: float, seed: int, own: int = 120) -> list[Trace]:
    """Log odds around minus ``gap`` before the takeover and ``gap`` after it, every 0.5 s."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        after_s = 0.5 * np.arange(-own + 1, 17)
        against = np.where(after_s <= 0, -gap, gap) + rng.standard_normal(len(after_s))
        found.append(Trace("source", against, after_s, np.ones(len(after_s), bool)))
    return found


def continuations(count: int, seed: int) -> list[Continuation]:
    """The claim tells, with a ratio that is right by its gain; the voice before tells nothing."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        same = number % 2 == 0
        gain = float(rng.uniform(0.3, 0.9))
        claim = ((2.0 if same else -2.0) + 2.0 * rng.standard_normal()) / gain
        voice = float(rng.standard_normal())
        found.append(Continuation(claim, voice, gain, same, str(number % 3)))
    return found


def test_the_weights_are_on_what_tells() -> None:
    alarm = fit_weights(continuations(3000, seed=1), ("claim", "voice"))
    assert alarm.claim == pytest.approx(1.0, abs=0.1)
    assert alarm.voice == pytest.approx(0.0, abs=0.1)
    assert alarm.speech == pytest.approx(0.0, abs=0.3)
    assert alarm.offset == pytest.approx(0.0, abs=0.3)
    assert fit_weights(continuations(300, seed=1), ("voice",)).claim == 0.0


@pytest.mark.parametrize("per_hour", [20.0, 60.0])
def test_false_alarms_on_fresh_streams_are_as_many_as_allowed(per_hour: float) -> None:
    alarm = fit_rate(ALARM, traces(200, 2.0, seed=2))
    told = delays(traces(400, 2.0, seed=3), [alarm] * 400, per_hour)
    assert told["hours"] == pytest.approx(400 * 119 * 0.5 / 3600, abs=0.01)
    assert per_hour / 2 < told["false_alarms"] / told["hours"] < per_hour * 2


def test_the_rate_leaves_the_weights_alone() -> None:
    fitted = fit_rate(ALARM, traces(100, 2.0, seed=2))
    assert (fitted.claim, fitted.voice, fitted.offset) == (1.0, 1.0, 0.0)


def test_alarms_are_judged_on_streams_that_they_were_not_fitted_to() -> None:
    fitted_to = traces(60, 2.0, seed=12)
    each = cross_fitted(ALARM, fitted_to, [number % 3 for number in range(60)])
    others = [trace for number, trace in enumerate(fitted_to) if number % 3 != 1]
    assert each[1] == each[4] == fit_rate(ALARM, others)
    assert len(set(map(repr, each))) == 3
    assert delays(fitted_to, each, 20.0)["streams"] == 60


def test_fewer_false_alarms_cost_delay() -> None:
    fitted = fit_rate(ALARM, traces(200, 2.0, seed=4))
    fresh = traces(100, 2.0, seed=5)
    told = [delays(fresh, [fitted] * 100, rate)["delay_s_p50"] for rate in (60.0, 1.0, 0.1)]
    assert told == sorted(told)
    assert told[0] < told[-1]


def test_streams_that_were_never_matched_are_left_out() -> None:
    known = traces(30, 2.0, seed=6)
    lost = [
        Trace(t.source, t.against, t.after_s, np.zeros(len(t.accepted), bool))
        for t in traces(30, 0.0, seed=7)
    ]
    for both, alone in zip(false_alarms([*known, *lost]), false_alarms(known), strict=True):
        np.testing.assert_array_equal(both, alone)
    both, alone = (delays(some, [ALARM] * len(some), 1.0) for some in ([*known, *lost], known))
    assert both == alone
    assert alone["streams"] > 25
    assert fit_rate(ALARM, [*known, *lost]) == fit_rate(ALARM, known)


def test_a_takeover_that_raises_no_alarm_is_later_than_any() -> None:
    never = AlarmFigures(claim=0.0, voice=0.0, offset=0.0, log_rate=99.0, decay=1.0)
    told = delays(traces(30, 2.0, seed=9), [never] * 30, 1.0)
    assert told["missed"] == 1.0
    assert told["delay_s_p50"] is told["delay_s_p95"] is None


def one_trace(against: list[float], accepted: list[bool], after_s: list[float]) -> Trace:
    return Trace("source", np.array(against), np.array(after_s), np.array(accepted))


BEFORE = [-3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0]


def test_a_match_that_is_given_up_counts_though_the_evidence_has_turned_by_then() -> None:
    """The place that gives it up is one where the evidence is against the speaker."""
    accepted = [False, True, True, False, False, True, True]
    found = one_trace([-9, -4, -3, 5, 4, -2, -3], accepted, BEFORE)
    alarms, stood = found.followed(np.array([3.0, 6.0]))
    assert alarms[:, 0].tolist() == [False, False, False, True, False, False, False]
    assert stood[:, 0].tolist() == [False, False, True, True, False, False, True]
    assert not alarms[:, 1].any()
    hours, counts = false_alarms([found], np.array([3.0, 6.0]))
    assert counts.tolist() == [1, 0]
    assert hours == pytest.approx(5 * 0.5 / 3600)  # since the first match


def test_what_never_was_a_match_is_not_given_up() -> None:
    found = one_trace([5.0] * 7, [True] * 7, BEFORE)
    assert false_alarms([found], np.array([3.0]))[1].tolist() == [0]


def test_where_nobody_is_ever_matched_there_is_no_rate() -> None:
    with pytest.raises(CalibrationError, match="in none of 2 streams the speaker was matched"):
        fit_rate(ALARM, [one_trace([5.0] * 7, [False] * 7, BEFORE)] * 2)


def test_a_takeover_counts_where_the_match_stood_when_it_began() -> None:
    after_s = [-1.0, -0.5, 0.0, 0.5, 1.0]
    stood = one_trace([-5, -5, -5, 2, 6], [True, True, True, False, False], after_s)
    lost = one_trace([-5, -5, 6, 6, 6], [True, True, False, False, False], after_s)
    alarm = AlarmFigures(claim=1.0, voice=1.0, offset=0.0, log_rate=3.0, decay=1.0)
    told = delays([stood, lost], [alarm] * 2, 1.0)
    assert (told["streams"], told["delay_s_p50"], told["false_alarms"]) == (1, 1.0, 1)
    assert delays([lost], [alarm], 1.0)["streams"] == 0
