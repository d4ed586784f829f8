"""Capacity: who is let in by what was measured, and nobody while the machine is behind."""

from __future__ import annotations

from streamer.server.limits.capacity import (
    FIRST_COST_S,
    LATE_HOLD_S,
    LATE_S,
    MOST,
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
    late_s: float = 0.0,
) -> float:
    """So many streams run, each of which costs so much a second: half loop, half threads."""
    for step in range(round(2 * seconds) + 1):
        worked_s = streams * cost_s * (at_s + step / 2)
        capacity.measured(Work(at_s + step / 2, worked_s / 2, worked_s / 2, late_s, streams))
    return at_s + seconds


def burst(capacity: Capacity, now: float, streams: int) -> int:
    """How many more are let in at once."""
    let_in = 0
    while let_in < 10_000 and capacity.has_room(now, streams + let_in):
        capacity.let_in(now)
        let_in += 1
    return let_in


def test_a_burst_before_anything_was_measured_is_bounded_by_the_first_guess() -> None:
    assert burst(Capacity(2), 0.0, 0) in (round(MOST * 2 / FIRST_COST_S) + i for i in (-1, 0, 1))


def test_as_many_as_the_measured_cost_leaves_room_for() -> None:
    capacity = Capacity(2)
    now = run(capacity, 20, 0.01, 20.0, 0.0)
    assert 145 <= burst(capacity, now, 20) <= 155  # 170 at 0.01 of two cores, less the 20


def test_dear_streams_are_few() -> None:
    capacity = Capacity(2)
    now = run(capacity, 10, 0.08, 20.0, 0.0)
    assert 9 <= burst(capacity, now, 10) <= 12


def test_those_just_let_in_count_before_their_cost_is_measured() -> None:
    capacity = Capacity(2)
    now = run(capacity, 60, 0.02, 20.0, 0.0)
    let_in = burst(capacity, now, 60)
    assert burst(capacity, now + SETTLE_S / 2, 60 + let_in) == 0


def test_nobody_is_let_in_while_the_machine_is_behind_but_the_first_few() -> None:
    capacity = Capacity(2)
    now = run(capacity, 20, 0.001, 5.0, 0.0, late_s=2 * LATE_S)
    assert not capacity.has_room(now, 20)
    assert capacity.has_room(now, SURE - 1)
    now = run(capacity, 20, 0.001, LATE_HOLD_S + 1, now)
    assert capacity.has_room(now, 20)


def test_room_comes_back_when_streams_go() -> None:
    capacity = Capacity(2)
    now = run(capacity, 100, 0.02, 20.0, 0.0)
    assert not capacity.has_room(now, 100)
    quiet = Capacity(2)
    later = run(quiet, 100, 0.02, 20.0, 0.0)
    quiet.measured(Work(later + 0.5, 20.1, 20.1, 0.0, 20))
    for step in range(2, 10):
        quiet.measured(Work(later + step / 2, 20 + 0.1 * step, 20 + 0.1 * step, 0.0, 20))
    assert quiet.has_room(later + 5.0, 20)
