"""A clock that jumps: what is known of the time, whatever it shows."""

from __future__ import annotations

import pytest
from enrolled_people import enrol
from hypothesis import given
from hypothesis import strategies as st
from store_place import Place

from streamer.store import clock
from streamer.store.clock import BELIEVED_S, OFF_S, STEP_S, Reading, judge

DAY = 86400.0
T = 1.8e9


class World:
    """A machine with a clock that can be set, and a store that is asked for the time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.true_s, self.ahead_s, self.start, self.started_s = T, 0.0, 1, T - 1000
        monkeypatch.setattr(clock, "read", self.read)

    def read(self) -> Reading:
        return Reading(
            self.true_s + self.ahead_s, f"start {self.start}", self.true_s - self.started_s
        )

    def later(self, seconds: float) -> None:
        self.true_s += seconds

    def restart(self, off_s: float) -> None:
        self.true_s += off_s
        self.started_s, self.start = self.true_s, self.start + 1


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.mark.parametrize("ahead_s", [400 * DAY, -400 * DAY, 40 * 365 * DAY, -T])
def test_one_wrong_setting_deletes_and_hides_nobody(
    place: Place, world: World, ahead_s: float
) -> None:
    with place.open() as store:
        enrol(store, "Anna", ttl_s=30 * DAY, now=store.now())
        enrol(store, "Bert", ttl_s=None, now=store.now())
        world.later(60)
        world.ahead_s = ahead_s
        for _ in range(3):
            world.later(60)
            assert store.purge(store.now()) == 0
            assert len(store.profiles(store.now())) == 2
    with place.open() as store:  # another process of the same start
        assert store.purge(store.now()) == 0
        enrol(store, "Carl", ttl_s=30 * DAY, now=store.now())
        assert store.now() == pytest.approx(world.true_s, abs=STEP_S)
    world.ahead_s = 0.0
    with place.open() as store:
        world.later(20 * DAY)
        assert store.purge(store.now()) == 0
        assert len(store.profiles(store.now())) == 3
        world.later(11 * DAY)
        assert store.purge(store.now()) == 2
        assert [p.name for p in store.profiles(store.now())] == ["Bert"]


@pytest.mark.parametrize("off_s", [60.0, 3 * DAY, OFF_S - 1])
def test_time_passes_while_the_machine_is_off(place: Place, world: World, off_s: float) -> None:
    with place.open() as store:
        enrol(store, "Anna", ttl_s=off_s / 2, now=store.now())
    world.restart(off_s)
    with place.open() as store:
        assert store.now() == world.true_s
        assert store.purge(store.now()) == 1


@pytest.mark.parametrize("ahead_s", [400 * DAY, -400 * DAY, -T])
def test_a_machine_that_starts_with_a_wrong_clock(
    place: Place, world: World, ahead_s: float
) -> None:
    with place.open() as store:
        enrol(store, "Anna", ttl_s=2 * DAY, now=store.now())
    world.restart(3600)
    world.ahead_s = ahead_s
    with place.open() as store:
        world.later(120)
        assert len(store.profiles(store.now())) == 1
        assert store.purge(store.now()) == 0
        world.ahead_s = 0.0  # the time server has answered
        assert store.now() == world.true_s
        world.later(3 * DAY)
        assert store.purge(store.now()) == 1


def test_a_clock_that_goes_on_steadily_is_believed_after_a_day(place: Place, world: World) -> None:
    with place.open() as store:
        enrol(store, "Anna", ttl_s=30 * DAY, now=store.now())
        world.ahead_s = 400 * DAY
        for _ in range(23):
            assert store.purge(store.now()) == 0
            world.later(3600)
    with place.open() as store:  # it is remembered since when it has gone on
        assert store.purge(store.now()) == 0
        world.later(3600)
        assert store.now() == world.true_s + world.ahead_s
        assert store.purge(store.now()) == 1


def test_a_store_that_nobody_opened_for_a_year(place: Place, world: World) -> None:
    with place.open() as store:
        enrol(store, "Anna", ttl_s=30 * DAY, now=store.now())
    world.restart(365 * DAY)
    with place.open() as store:
        assert store.purge(store.now()) == 0
    world.later(BELIEVED_S)
    with place.open() as store:
        assert store.purge(store.now()) == 1


def test_a_small_correction_is_none_of_these() -> None:
    first = Reading(T, "a", 100.0)
    _, witness = judge(None, first)
    for wall_s in (T + 60 + STEP_S - 1, T + 60 - STEP_S + 1):
        now, after = judge(witness, Reading(wall_s, "a", 160.0))
        assert now == wall_s
        assert after.doubted is None


@given(
    st.lists(
        st.tuples(
            st.floats(0, 3e5),  # what passes
            st.sampled_from([0.0, 0.0, 0.0, 1e3, -1e3, 4e7, -4e7]),  # what the clock is set by
            st.booleans(),  # whether the machine starts anew
        ),
        max_size=30,
    )
)
def test_no_setting_is_believed_before_it_has_gone_on_for_a_day(
    steps: list[tuple[float, float, bool]],
) -> None:
    """Within one start: the time told differs from what has passed only after a steady day."""
    wall_s, steady_s, start = T, 0.0, 0
    told, witness = judge(None, Reading(wall_s, "0", steady_s))
    told_steady_s, steady_since_s = 0.0, 0.0
    for passes_s, set_by_s, anew in steps:
        wall_s, steady_s = wall_s + passes_s + set_by_s, steady_s + passes_s
        if set_by_s:
            steady_since_s = steady_s
        if anew:
            start, steady_s, told_steady_s, steady_since_s = start + 1, 0.0, 0.0, 0.0
            told, witness = judge(None, Reading(wall_s, str(start), steady_s))
        now, witness = judge(witness, Reading(wall_s, str(start), steady_s))
        moved_s = abs((now - told) - (steady_s - told_steady_s))
        if steady_s - steady_since_s < BELIEVED_S - STEP_S:
            assert moved_s <= STEP_S + 1
        told, told_steady_s = now, steady_s


def test_both_clocks_of_this_machine_are_read() -> None:
    first, second = clock.read(), clock.read()
    assert first.start == second.start
    assert 0 <= second.steady_s - first.steady_s < 60
    assert first.wall_s > 1.7e9
