from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from models.benchmark.outcomes import (
    FirstDecision,
    FollowedClaim,
    by_threshold,
    first_decision,
    follow_claim,
    shares,
)
from models.benchmark.tables import LEAVING
from models.benchmark.truth import Truth

Make = Callable[..., Truth]
SPANS = np.array([[1.0, 5.0], [6.0, 20.0]])


def test_the_first_decision_passes_over_doubt(truth: Make) -> None:
    states = [(2.0, "insufficient"), (3.0, "uncertain"), (7.0, "match"), (8.0, "mismatch")]
    assert first_decision(truth(), states) == FirstDecision("match", 5.0, 6.0)
    assert first_decision(truth(), [(2.0, "uncertain")]) is None
    assert first_decision(truth(), [(2.0, "unknown")]) == FirstDecision("unknown", 1.0, 1.0)


def test_a_takeover_that_is_told(truth: Make) -> None:
    followed = follow_claim(truth(), [(2.0, "match"), (12.5, "mismatch")])
    assert followed == FollowedClaim(0, 7.0, True, 2.5, 2.5)


def test_the_delay_is_speech_and_not_the_clock(truth: Make) -> None:
    spans = np.array([[1.0, 5.0], [6.0, 11.0], [15.0, 20.0]])
    followed = follow_claim(truth(spans=spans), [(2.0, "match"), (16.0, "mismatch")])
    assert (followed.delay_s, followed.wall_s) == (2.0, 6.0)


def test_a_takeover_that_is_missed_takes_for_ever(truth: Make) -> None:
    followed = follow_claim(truth(), [(2.0, "match")])
    assert followed.stood
    assert math.isinf(followed.delay_s)


def test_an_alarm_before_the_takeover_is_false_and_leaves_nothing_to_follow(truth: Make) -> None:
    followed = follow_claim(truth(), [(2.0, "match"), (4.0, "mismatch"), (12.0, "mismatch")])
    assert (followed.false_alarms, followed.stood) == (1, False)
    again = follow_claim(
        truth(), [(2.0, "match"), (4.0, "mismatch"), (7.0, "match"), (11.0, "mismatch")]
    )
    assert (again.false_alarms, again.stood, again.delay_s) == (1, True, 1.0)


def test_doubt_is_an_alarm_only_where_it_is_said_to_be(truth: Make) -> None:
    states = [(2.0, "match"), (4.0, "uncertain"), (5.0, "uncertain"), (7.0, "match")]
    assert follow_claim(truth(), states).false_alarms == 0
    assert follow_claim(truth(), states, LEAVING).false_alarms == 1
    lapsed = [(2.0, "match"), (4.0, "insufficient")]
    assert follow_claim(truth(), lapsed, LEAVING).false_alarms == 0


def test_a_rejection_without_an_acceptance_is_no_alarm(truth: Make) -> None:
    followed = follow_claim(truth(), [(2.0, "mismatch"), (12.0, "mismatch")])
    assert followed == FollowedClaim(0, 0.0, False, math.inf, math.inf)


def test_a_genuine_stream_is_watched_to_its_end(truth: Make) -> None:
    own = truth(stranger_at_s=None, turns=((1.0, 20.0, True),))
    assert follow_claim(own, [(6.0, "match"), (19.0, "mismatch")]).accepted_s == 14.0
    assert follow_claim(own, [(6.0, "match"), (19.0, "mismatch")]).false_alarms == 1


def test_a_running_score_becomes_states_as_it_changes() -> None:
    t, value = np.arange(6.0), np.array([0.8, 0.9, 0.7, 0.6, 0.5, 0.75])
    states = by_threshold(t, value, 0.75, 0.65)
    assert states == [(0.0, "match"), (2.0, "uncertain"), (3.0, "mismatch"), (5.0, "match")]
    assert by_threshold(np.empty(0), np.empty(0), 0.75, 0.65) == []


def test_shares_add_up_to_all_speech(truth: Make) -> None:
    found = shares(truth(), [(2.0, "match"), (12.0, "mismatch")])
    assert found[True] == pytest.approx(
        {"match": 7.0, "insufficient": 1.0, "uncertain": 0, "mismatch": 0, "unknown": 0}
    )
    assert found[False]["match"] == 2
    assert found[False]["mismatch"] == 8
