"""Shedding: wider while late, back only where the work would fit, and no swinging."""

from __future__ import annotations

from itertools import pairwise

import pytest

from engine.serving.overload import Overload, OverloadConfig

CONFIG = OverloadConfig(threads=2)
STEP_S = CONFIG.review_s


def reviews(overload: Overload, start: float, seconds: float, late_s: float, busy: float) -> float:
    """Review for ``seconds`` with threads ``busy`` (share) all along; the time after."""
    now = start
    while now < start + seconds:
        overload.ran(busy * CONFIG.threads * STEP_S)
        overload.review(now, late_s)
        now += STEP_S
    return now


def test_on_time_nothing_happens() -> None:
    overload = Overload(CONFIG)
    reviews(overload, 0.0, 60.0, -0.1, 1.0)
    assert overload.hop_s == 0.0


def test_late_for_long_it_widens_to_the_end_and_stays_there() -> None:
    overload = Overload(CONFIG)
    changes = [overload.review(0.25 * i, 0.3) for i in range(60)]
    assert [hop for hop in changes if hop is not None] == [0.75, 1.0, 1.5, 2.0, 3.0]
    assert overload.late_s == 0.3


def test_a_step_is_given_time_to_show_its_effect() -> None:
    overload = Overload(CONFIG)
    changed = [i * 0.25 for i in range(60) if overload.review(0.25 * i, 0.3) is not None]
    gaps = [b - a for a, b in pairwise(changed)]
    assert min(gaps) >= CONFIG.settle_s


def test_reviews_between_times_count_for_nothing() -> None:
    overload = Overload(CONFIG)
    assert [overload.review(0.001 * i, 0.3) for i in range(200)] == [None] * 200


def test_one_late_window_is_a_hiccup() -> None:
    overload = Overload(CONFIG)
    for i in range(100):
        overload.review(0.25 * i, 0.3 if i % 2 else 0.0)
    assert overload.hop_s == 0.0


def test_what_fits_easily_is_gone_back_to_at_once() -> None:
    overload = Overload(CONFIG)
    now = reviews(overload, 0.0, 30.0, 0.3, 1.0)
    assert overload.hop_s == CONFIG.hops_s[-1]
    now = reviews(overload, now, CONFIG.calm_s - STEP_S, 0.0, 0.05)
    assert overload.hop_s == CONFIG.hops_s[-1]  # calm, but not for long enough
    reviews(overload, now, 3 * STEP_S, 0.0, 0.05)
    assert overload.hop_s == 0.0


def test_what_the_threads_did_before_a_crowd_left_does_not_hold_anybody_back() -> None:
    """On time at the widest hop, with all the threads' time, and then almost none of it."""
    overload = Overload(CONFIG)
    now = reviews(overload, 0.0, 30.0, 0.3, 1.0)
    now = reviews(overload, now, 30.0, -0.1, 1.0)
    assert overload.hop_s == CONFIG.hops_s[-1]
    reviews(overload, now, 5.0, -0.1, 0.02)
    assert overload.hop_s == 0.0


def test_what_only_just_fits_is_tried_after_longer_and_by_a_step() -> None:
    overload = Overload(CONFIG)
    now = reviews(overload, 0.0, 2.0, 0.3, 1.0)
    assert overload.hop_s == 1.0
    now = reviews(overload, now, CONFIG.patient_s - 1.0, 0.0, 0.5)
    assert overload.hop_s == 1.0
    now = reviews(overload, now, 2.0, 0.0, 0.5)
    assert overload.hop_s == 0.75
    reviews(overload, now, 60.0, 0.0, 0.5)
    assert overload.hop_s == 0.0


def test_after_a_time_without_streams_the_next_one_has_its_own_hop_at_once() -> None:
    overload = Overload(CONFIG)
    now = reviews(overload, 0.0, 30.0, 0.3, 1.0)
    assert overload.hop_s == CONFIG.hops_s[-1]
    assert overload.review(now + 3600, -0.1) == 0.0


def test_it_does_not_go_back_to_what_would_not_fit() -> None:
    """At 0.75 s the threads are busy for 0.6 of the time: at 0.5 s it would be 0.9."""
    overload = Overload(CONFIG)
    now = reviews(overload, 0.0, 0.5, 0.3, 1.0)
    assert overload.hop_s == 0.75
    now = reviews(overload, now, 60.0, 0.0, 0.6)
    assert overload.hop_s == 0.75
    reviews(overload, now, 60.0, 0.0, 0.5)
    assert overload.hop_s == 0.0


@pytest.mark.parametrize(
    "settings",
    [{"hops_s": (1.0, 0.5)}, {"hops_s": (0.0, 1.0)}, {"easy": 0.0}, {"easy": 0.9}, {"threads": 0}],
)
def test_an_impossible_configuration_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        OverloadConfig(**settings)
