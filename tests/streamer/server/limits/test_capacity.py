"""Capacity: who is let in by what was measured, and nobody while the machine is behind."""

from __future__ import annotations

import pytest

from streamer.server.limits.capacity import (
    BACK_OFF,
    BEHIND_S,
    FIRST_COST_S,
    HOLD_S,
    LEAST_COST_S,
    MOST,
    MOST_COST_S,
    NEWCOMER,
    REGAIN,
    SETTLE_S,
    SURE,
    Capacity,
    Work,
)


def run(
    capacity: Capacity,
    streams: int,
    cost_s: float,
    seconds: float,
    at_s: float,
    *,
    late: int = 0,
    behind_s: float = 0.0,
    widened: bool = False,
    speaking: float = 1.0,
) -> float:
    """So many streams run, each of which costs so much a second: half loop, half threads.

    In a share of them somebody speaks, who has two windows a second, and so many in a hundred are
    late.
    """
    for step in range(round(2 * seconds) + 1):
        now = at_s + step / 2
        worked_s, windows = streams * cost_s * now, round(2 * speaking * streams * now)
        capacity.measured(
            Work(
                now,
                worked_s / 2,
                worked_s / 2,
                streams,
                round(speaking * streams),
                windows,
                windows * late // 100,
                behind_s,
                widened,
            )
        )
    return at_s + seconds


def burst(capacity: Capacity, now: float, streams: int) -> int:
    """How many more are let in at once."""
    let_in = 0
    while let_in < 10_000 and capacity.has_room(now, streams + let_in):
        capacity.let_in(now)
        let_in += 1
    return let_in


def test_a_burst_before_anything_was_measured_is_bounded_by_the_first_guess() -> None:
    expected = MOST * 2 / (NEWCOMER * FIRST_COST_S)
    assert burst(Capacity(2), 0.0, 0) == pytest.approx(expected, abs=1)


def test_who_was_let_in_counts_before_the_stream_is_open() -> None:
    capacity = Capacity(2)
    for _ in range(200):
        if capacity.has_room(0.0, 1):
            capacity.let_in(0.0)
    assert len(capacity._newcomers) <= MOST * 2 / (NEWCOMER * FIRST_COST_S)


def test_many_cores_do_not_make_the_one_event_loop_faster() -> None:
    expected = MOST / (NEWCOMER * FIRST_COST_S / 2)
    assert burst(Capacity(64), 0.0, 0) == pytest.approx(expected, abs=1)


def test_as_many_as_the_measured_cost_leaves_room_for() -> None:
    capacity = Capacity(2)
    now = run(capacity, 20, 0.025, 20.0, 0.0)
    assert 17 <= burst(capacity, now, 20) <= 18  # 56 at 0.025 of two cores, less 20: the half


def test_dear_streams_are_few() -> None:
    capacity = Capacity(2)
    now = run(capacity, 10, 0.08, 20.0, 0.0)
    assert 3 <= burst(capacity, now, 10) <= 4


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2])
def test_who_is_silent_is_thought_to_speak_before_long(share: float) -> None:
    capacity = Capacity(2)
    now = run(capacity, 20, 0.001, 20.0, 0.0, speaking=share)
    room = MOST * 2 - 20 * 0.001
    assert burst(capacity, now, 20) == pytest.approx(room / (NEWCOMER * FIRST_COST_S), abs=1)


@pytest.mark.parametrize("cost_s", [0.004, 0.008, 0.03])
def test_what_a_stream_costs_is_measured_on_fast_machines_too(cost_s: float) -> None:
    capacity = Capacity(2)
    now = run(capacity, 20, cost_s, 20.0, 0.0)
    expected = (MOST * 2 / cost_s - 20) / NEWCOMER
    assert burst(capacity, now, 20) == pytest.approx(expected, rel=0.05, abs=1)


@pytest.mark.parametrize("speaking", [1.0, 0.5, 0.25])
def test_the_cost_of_all_is_thought_to_be_of_those_who_speak(speaking: float) -> None:
    capacity, cost_s = Capacity(2), 0.012
    now = run(capacity, 20, speaking * cost_s, 20.0, 0.0, speaking=speaking)
    room = MOST * 2 - 20 * speaking * cost_s
    assert burst(capacity, now, 20) == pytest.approx(room / (NEWCOMER * cost_s), abs=1)


def test_a_cost_is_learned_while_a_few_come_all_the_time() -> None:
    """At a busy server somebody has always just come."""
    capacity = Capacity(2)
    now = 0.0
    for _ in range(20):
        capacity.let_in(now)
        now = run(capacity, 40, 0.006, 1.0, now)
    assert burst(capacity, now, 40) > 1.5 * (MOST * 2 - 40 * 0.006) / (NEWCOMER * FIRST_COST_S)


def test_nothing_is_learned_of_a_crowd_that_has_just_come() -> None:
    """Of those who are not heard yet the others would seem to cost next to nothing, or all."""
    capacity, quiet = Capacity(2), Capacity(2)
    for one in (capacity, quiet):
        run(one, 20, 0.03, 20.0, 0.0)
    for _ in range(12):
        capacity.let_in(20.0)
    run(capacity, 32, 0.004, 2.0, 20.0)
    run(quiet, 32, 0.004, 2.0, 20.0)
    later = 20.0 + SETTLE_S + 0.5
    assert burst(capacity, later, 32) < 0.5 * burst(quiet, later, 32)


def test_a_cost_is_believed_within_bounds() -> None:
    """Counters that stand still, or a machine that stood still, do not open the door for all."""
    still, dear = Capacity(2), Capacity(2)
    now = run(still, 20, 0.0, 20.0, 0.0)
    assert burst(still, now, 20) == pytest.approx(MOST * 2 / (NEWCOMER * LEAST_COST_S), abs=1)
    now = run(dear, 2, 5.0, 20.0, 0.0)
    now = run(dear, 0, 0.0, 20.0, now)
    assert burst(dear, now, SURE) == pytest.approx(MOST * 2 / (NEWCOMER * MOST_COST_S), abs=1)


def test_no_more_streams_speak_than_there_are() -> None:
    """Who has gone counts as speaking for some seconds."""
    capacity, right = Capacity(2), Capacity(2)
    for one, speaking in ((capacity, 3.0), (right, 1.0)):
        now = run(one, 20, 0.02, 20.0, 0.0, speaking=speaking)
    assert burst(capacity, now, 20) == burst(right, now, 20)


def test_one_core_carries_half_as_many() -> None:
    assert burst(Capacity(1), 0.0, 0) == pytest.approx(MOST / (NEWCOMER * FIRST_COST_S), abs=1)
    capacity = Capacity(1)
    now = run(capacity, 20, 0.008, 20.0, 0.0)
    expected = (MOST - 20 * 0.008) / (NEWCOMER * 0.008)
    assert burst(capacity, now, 20) == pytest.approx(expected, abs=1)


def test_those_just_let_in_count_before_their_cost_is_measured() -> None:
    capacity = Capacity(2)
    now = run(capacity, 40, 0.02, 20.0, 0.0)
    let_in = burst(capacity, now, 40)
    assert let_in > 0
    assert burst(capacity, now + SETTLE_S / 2, 40 + let_in) == 0


@pytest.mark.parametrize(
    "trouble", [{"behind_s": 2 * BEHIND_S}, {"widened": True}, {"late": 20}], ids=str
)
def test_nobody_is_let_in_while_streams_are_late_but_the_first_few(
    trouble: dict[str, float],
) -> None:
    capacity = Capacity(2)
    now = run(capacity, 20, 0.02, 5.0, 0.0, **trouble)
    assert not capacity.has_room(now, 20)
    assert capacity.has_room(now, SURE - 1)
    assert not capacity.has_room(now + HOLD_S - 0.1, 20)


def test_some_late_windows_are_no_trouble() -> None:
    capacity = Capacity(2)
    now = run(capacity, 20, 0.02, 5.0, 0.0, late=3)
    assert capacity.has_room(now, 20)


def test_what_was_too_much_once_is_not_taken_again_at_once() -> None:
    """Half of the machine is others': streams are late at a share of 0.4 already."""
    capacity = Capacity(2)
    now = run(capacity, 40, 0.02, 10.0, 0.0)
    now = run(capacity, 40, 0.02, 1.0, now, late=50)
    now = run(capacity, 40, 0.02, HOLD_S + 1, now)
    assert not capacity.has_room(now, 40)
    assert burst(capacity, now, 0) <= BACK_OFF * 40 + SURE


def test_a_share_that_was_lost_is_had_again_in_time() -> None:
    capacity = Capacity(2)
    now = run(capacity, 40, 0.02, 10.0, 0.0)
    now = run(capacity, 40, 0.02, 1.0, now, late=50)
    now = run(capacity, 40, 0.02, MOST / REGAIN, now)
    assert capacity.has_room(now, 40)


def test_a_cost_at_a_wider_hop_is_not_believed() -> None:
    capacity = Capacity(2)
    now = run(capacity, 20, 0.08, 10.0, 0.0)
    dear = burst(capacity, now, 0)
    widened = Capacity(2)
    now = run(widened, 20, 0.08, 10.0, 0.0)
    now = run(widened, 20, 0.02, 10.0, now, widened=True)
    assert burst(widened, now + SETTLE_S + HOLD_S, 20) <= dear


def test_room_comes_back_when_streams_go() -> None:
    capacity = Capacity(2)
    now = run(capacity, 70, 0.02, 20.0, 0.0)
    assert not capacity.has_room(now, 70)
    quiet = Capacity(2)
    later = run(quiet, 70, 0.02, 20.0, 0.0)
    quiet.measured(Work(later + 0.5, 14.1, 14.1, 20, 20))
    for step in range(2, 10):
        quiet.measured(Work(later + step / 2, 14 + 0.1 * step, 14 + 0.1 * step, 20, 20))
    assert quiet.has_room(later + 5.0, 20)
