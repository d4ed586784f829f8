"""Looks at streams are noted once an hour, and what is remembered of them is bounded."""

from __future__ import annotations

from streamer.server.seen import AGAIN_S, MOST, Viewings


def test_a_look_is_noted_once_an_hour_for_each_who_and_stream() -> None:
    viewings = Viewings()
    viewings.saw("desk", ["one", "two"], 0.0)
    viewings.saw("chief", ["one"], 1.0)
    assert viewings.take() == {"desk": {"one", "two"}, "chief": {"one"}}
    assert viewings.take() == {}
    viewings.noted("desk", ["one"], 2.0)  # the other one could not be written
    viewings.saw("desk", ["one", "two"], 2.0 + AGAIN_S / 2)
    assert viewings.take() == {"desk": {"two"}}
    assert viewings.is_due("desk", "one", 2.0 + AGAIN_S)


def test_what_is_remembered_is_bounded_and_the_newest_stays() -> None:
    viewings = Viewings()
    for number in range(3 * MOST):
        viewings.noted("desk", [str(number)], 0.0)
    remembered = [n for n in range(3 * MOST) if not viewings.is_due("desk", str(n), 1.0)]
    assert MOST // 2 <= len(remembered) <= MOST
    assert remembered[-1] == 3 * MOST - 1
