"""Crowds at the door: capacity and overload together, on a simulated machine and its clock."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from engine.serving.overload import Overload, OverloadConfig
from streamer.server.limits.capacity import MOST, Capacity, Work

TICK_S = 0.05
AGAIN_S = 5.0  # after which somebody who was refused comes back
DEADLINE_S = 0.2
WINDOWS_PER_S = 2
HOP_S = 0.5


@dataclass
class Machine:
    """Two cores, of which ``free`` are left to the server.

    A stream costs ``cost_s`` a second at its own hop, the half of it in proportion to its scores.
    """

    cost_s: float
    free: float
    overload: Overload = field(default_factory=lambda: Overload(OverloadConfig(threads=2)))
    capacity: Capacity = field(default_factory=lambda: Capacity(2))
    streams: int = 0
    waits_s: float = 0.0  # of work
    worked_s: float = 0.0
    windows: int = 0
    late: int = 0
    now: float = 0.0
    worst_hop_s: float = 0.0
    rng: random.Random = field(default_factory=lambda: random.Random(0))

    @property
    def carries(self) -> float:
        """How many streams have all their scores here."""
        return self.free * 2 / self.cost_s

    def run(self, seconds: float, wanting: int) -> None:
        """Let as many in as the door lets, of those who want to come, who try and try again."""
        tries = [self.now + self.rng.random() * TICK_S for _ in range(wanting)]
        for tick in range(round(seconds / TICK_S)):
            self.now += TICK_S
            for one, due_s in enumerate(tries):
                if due_s <= self.now:
                    tries[one] = float("inf") if self._enter() else self.now + AGAIN_S
            self._work()
            if not tick % 10:
                self._measure()
            self.worst_hop_s = max(self.worst_hop_s, self.overload.hop_s)

    def leave(self, streams: int) -> None:
        """So many go, and what they had asked for with them."""
        self.waits_s *= 1 - streams / self.streams
        self.streams -= streams

    def _enter(self) -> bool:
        if not self.capacity.has_room(self.now, self.streams):
            return False
        self.capacity.let_in(self.now)
        self.streams += 1
        return True

    def _work(self) -> None:
        hop_s = max(self.overload.hop_s, HOP_S)
        asked = self.streams * self.cost_s * (0.5 + 0.5 * HOP_S / hop_s)
        self.waits_s += asked * TICK_S * self.rng.uniform(0.5, 1.5)
        worked_s = min(self.waits_s, self.free * 2 * TICK_S)
        self.waits_s -= worked_s
        self.worked_s += worked_s
        self.overload.ran(worked_s / 2)
        late_s = self.waits_s / (self.free * 2) - DEADLINE_S
        windows = round(self.streams * WINDOWS_PER_S * TICK_S)
        self.windows, self.late = self.windows + windows, self.late + windows * (late_s > 0)
        self.overload.started(late_s)
        self.overload.review(self.now, late_s)

    def _measure(self) -> None:
        half_s, overload = self.worked_s / 2, self.overload
        threads_s = half_s / self.free  # by the clock, and not of their own
        behind_s = overload.late_s if overload.hop_s else 0.0
        self.capacity.measured(
            Work(
                self.now,
                half_s,
                threads_s,
                self.streams,
                self.streams,
                self.windows,
                self.late,
                behind_s,
                overload.hop_s > 0,
            )
        )


MACHINES = [
    pytest.param(0.018, 1.0, id="as-measured"),
    pytest.param(0.018, 0.7, id="others-work-too"),
    pytest.param(0.03, 1.0, id="slower"),
    pytest.param(0.03, 0.6, id="slower-and-others"),
    pytest.param(0.008, 1.0, id="faster"),
]


@pytest.mark.parametrize(("cost_s", "free"), MACHINES)
def test_who_is_let_in_keeps_two_scores_a_second(cost_s: float, free: float) -> None:
    machine = Machine(cost_s, free)
    machine.run(5.0, 1)
    machine.run(120.0, 200)
    assert machine.worst_hop_s == 0.0
    assert machine.streams <= machine.carries


@pytest.mark.parametrize(("cost_s", "free"), MACHINES)
def test_most_of_what_the_machine_carries_is_let_in(cost_s: float, free: float) -> None:
    machine = Machine(cost_s, free)
    machine.run(120.0, 400)
    carries = min(MOST * 2 / cost_s, machine.carries)
    assert machine.streams >= 0.85 * carries


@pytest.mark.parametrize("cost_s", [0.05, 0.08, 0.12])
def test_a_machine_dearer_than_the_first_guess_takes_no_more_when_it_knows(cost_s: float) -> None:
    machine = Machine(cost_s, 1.0)
    machine.run(2.0, 200)
    at_first = machine.streams
    machine.run(120.0, 200)
    assert machine.streams <= max(at_first, machine.carries)


@pytest.mark.parametrize(("cost_s", "stay"), [(0.05, 1), (0.05, 8), (0.12, 1), (0.12, 2)])
def test_own_hops_come_back_within_five_seconds_of_a_crowd(cost_s: float, stay: int) -> None:
    machine = Machine(cost_s, 1.0)
    machine.run(60.0, 200)
    machine.streams = max(machine.streams, 60)  # as if more had been let in than there is room for
    machine.run(30.0, 0)
    assert machine.overload.hop_s > HOP_S
    machine.leave(machine.streams - stay)
    machine.run(5.0, 0)
    assert machine.overload.hop_s == 0.0


def test_the_next_crowd_after_one_that_was_too_much_is_smaller() -> None:
    machine = Machine(0.018, 0.4)
    machine.run(60.0, 200)
    first = machine.streams
    machine.leave(first - 1)
    machine.run(20.0, 0)
    machine.worst_hop_s = 0.0
    machine.run(30.0, 200)
    assert machine.streams <= first
    assert machine.worst_hop_s == 0.0
