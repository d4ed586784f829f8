"""The quota of sound: by client, over an hour."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from streamer.server.limits.quota import BIN_S, HOUR_S, Quota


def test_each_client_has_its_own_hour() -> None:
    quota = Quota(100.0)
    quota.spend("a", 60, 0.0)
    assert not quota.exhausted("a", 10.0)
    quota.spend("a", 60, 20.0)
    assert quota.exhausted("a", 20.0)
    assert not quota.exhausted("b", 20.0)
    assert quota.exhausted("a", HOUR_S - 1)
    assert not quota.exhausted("a", HOUR_S + 80)


@example([(0, 40), (59, 60), (HOUR_S - 59, 60)])
@given(st.lists(st.tuples(st.floats(0, 900), st.floats(0, 60)), max_size=40))
def test_whoever_sent_the_limit_within_the_hour_has_sent_it(
    steps: list[tuple[float, float]],
) -> None:
    quota, now, sent = Quota(100.0), 0.0, []
    for wait_s, seconds in steps:
        now += wait_s
        quota.spend("a", seconds, now)
        sent.append((now, seconds))
        hour = sum(s for t, s in sent if now - t < HOUR_S)
        longer = sum(s for t, s in sent if now - t < HOUR_S + BIN_S + 1)
        if hour >= 100.0 + 1e-6:
            assert quota.exhausted("a", now)
        if longer < 100.0 - 1e-6:
            assert not quota.exhausted("a", now)


def test_who_is_gone_for_an_hour_is_forgotten() -> None:
    quota = Quota(100.0)
    for number in range(1000):
        quota.spend(f"10.0.0.{number}", 1.0, 0.0)
    quota.spend("b", 1.0, 2 * HOUR_S)
    assert set(quota._total) == {"b"}
