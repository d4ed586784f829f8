"""Media time to time of day."""

from __future__ import annotations

from engine.arrival.moments import Moments, rfc3339

NOON = 1_795_867_200.0  # 2026-11-28 12:00:00 UTC


def test_a_time_of_day_is_text_in_utc_with_milliseconds() -> None:
    assert rfc3339(NOON + 0.25) == "2026-11-28T12:00:00.250Z"
    assert rfc3339(NOON) == "2026-11-28T12:00:00.000Z"


def test_sound_has_the_time_at_which_it_came() -> None:
    moments = Moments()
    assert moments.of(0) is None
    for second in range(1, 6):
        moments.note(16_000 * second, NOON + second)
    assert moments.of(0) == "2026-11-28T12:00:01.000Z"
    assert moments.of(16_000) == "2026-11-28T12:00:01.000Z"
    assert moments.of(16_001) == "2026-11-28T12:00:02.000Z"
    assert moments.of(80_000) == "2026-11-28T12:00:05.000Z"
    assert moments.of(90_000) == "2026-11-28T12:00:05.000Z"


def test_what_is_told_later_of_the_same_sound_has_the_later_time() -> None:
    moments = Moments()
    moments.note(16_000, NOON)
    assert moments.of(16_000) == "2026-11-28T12:00:00.000Z"
    moments.note(16_000, NOON + 3)
    assert moments.of(16_000) == "2026-11-28T12:00:03.000Z"


def test_no_time_is_before_one_that_was_told() -> None:
    moments = Moments()
    moments.note(16_000, NOON)
    assert moments.of(16_000) == "2026-11-28T12:00:00.000Z"
    moments.note(32_000, NOON - 3600)  # somebody set the clock
    assert moments.of(32_000) == "2026-11-28T12:00:00.000Z"


def test_pieces_of_a_byte_are_not_each_kept() -> None:
    moments = Moments()
    for i in range(100_000):
        moments.note(i, NOON + i / 32_000)
    assert len(moments._came) < 1000
