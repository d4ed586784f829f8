"""Rates: so many at once, then evenly, and each client by itself."""

from __future__ import annotations

from typing import Any

import pytest

from streamer.server.limits.rate import KEPT, Rate

A, B = ("a",), ("b",)


def test_a_minutes_worth_at_once_and_then_evenly() -> None:
    rate = Rate(60)
    assert [rate.wait_s(A, 0.0) for _ in range(60)] == [0.0] * 60
    assert rate.wait_s(A, 0.0) == pytest.approx(1.0)
    assert rate.wait_s(A, 0.5) == pytest.approx(0.5)
    assert rate.wait_s(A, 1.0) == 0.0
    assert rate.wait_s(B, 1.0) == 0.0


def test_whoever_was_refused_waits_no_longer_for_it() -> None:
    rate = Rate(1)
    assert rate.wait_s(A, 0.0) == 0.0
    for _ in range(100):
        assert rate.wait_s(A, 30.0) == pytest.approx(30.0)
    assert rate.wait_s(A, 60.0) == 0.0


def test_the_table_is_bounded() -> None:
    rate = Rate(60)
    for number in range(KEPT):
        rate.wait_s((str(number),), 0.0)
    rate.wait_s(A, 100.0)
    assert len(rate._used) == 1


def test_a_crowd_of_clients_is_not_looked_through_for_each_of_them() -> None:
    looks = 0

    class Watched(dict[tuple[str, ...], tuple[float, float]]):
        def items(self) -> Any:
            nonlocal looks
            looks += 1
            return super().items()

    rate = Rate(60)
    for number in range(4 * KEPT):
        rate._used = Watched(rate._used) if type(rate._used) is dict else rate._used
        assert rate.wait_s((str(number),), 1e-3 * number / KEPT) == 0.0
    assert looks == 2
