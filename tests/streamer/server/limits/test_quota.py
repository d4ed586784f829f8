"""The quota of sound: by address, over an hour."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from streamer.server.limits.quota import HOUR_S, Quota


def test_each_address_has_its_own_hour() -> None:
    quota = Quota(100.0)
    assert quota.take("a", 60, 0.0)
    assert not quota.take("a", 60, 10.0)
    assert quota.take("a", 40, 20.0)
    assert quota.take("b", 100, 20.0)
    assert not quota.take("a", 1, HOUR_S - 1)
    assert quota.take("a", 60, HOUR_S + 80)


@example([(0, 40), (59, 60), (HOUR_S - 59, 60)])
@given(st.lists(st.tuples(st.floats(0, 900), st.floats(0, 60)), max_size=40))
def test_no_hour_has_more_than_the_limit(steps: list[tuple[float, float]]) -> None:
    quota, now, taken = Quota(100.0), 0.0, []
    for wait_s, seconds in steps:
        now += wait_s
        if quota.take("a", seconds, now):
            taken.append((now, seconds))
        assert sum(s for t, s in taken if now - t < HOUR_S) <= 100.0 + 1e-6


def test_who_is_gone_for_an_hour_is_forgotten() -> None:
    quota = Quota(100.0)
    for number in range(1000):
        quota.take(f"10.0.0.{number}", 1.0, 0.0)
    quota.take("b", 1.0, 2 * HOUR_S)
    assert set(quota._total) == {"b"}
