"""Whether the declared rate is in doubt, before another one can be named."""

from __future__ import annotations

import numpy as np
import pytest

from engine.arrival.pace import Pace


@pytest.mark.parametrize("piece_s", [0.02, 0.1, 0.25])
@pytest.mark.parametrize(
    ("declared", "true", "within_s"),
    [(16_000, 8000, 0.7), (16_000, 44_100, 0.7), (24_000, 16_000, 0.8), (48_000, 44_100, 2.0)],
)
def test_another_rate_is_in_doubt_soon_until_it_is_named(
    declared: int, true: int, within_s: float, piece_s: float
) -> None:
    pace, now = Pace(declared), 0.0
    while pace.likely_hz is None:
        pace.receive(piece_s * true / declared, now)
        assert now < within_s or true in (pace.doubted_hz, pace.likely_hz)
        now += piece_s


def doubted(
    declared: int, true: int, seconds: float, piece_s: float, jitter_s: float, seed: int
) -> int | None:
    """Which rate is in doubt, or named, after so many seconds over a link whose delay jitters."""
    pace, rng, now = Pace(declared), np.random.default_rng(seed), 0.0
    for number in range(1, round(seconds / piece_s) + 1):
        now = max(now, number * piece_s + jitter_s * float(rng.random()))
        pace.receive(piece_s * true / declared, now)
    return pace.likely_hz or pace.doubted_hz


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("piece_s", "jitter_s"),
    [(0.02, 0.1), (0.06, 0.05), (0.1, 0.05), (0.25, 0.02), (0.5, 0.02), (1.0, 0.01)],
)
@pytest.mark.parametrize(
    ("declared", "true"),
    [
        (16_000, 8000),
        (8000, 16_000),
        (16_000, 44_100),
        (44_100, 16_000),
        (48_000, 44_100),
        (16_000, 48_000),
        (16_000, 24_000),
        (24_000, 16_000),
    ],
)
def test_another_rate_is_in_doubt_after_a_short_command(
    declared: int, true: int, piece_s: float, jitter_s: float, seed: int
) -> None:
    assert doubted(declared, true, 3.0, piece_s, jitter_s, seed) == true


@pytest.mark.parametrize("jitter_s", [0.0, 0.02, 0.1])
@pytest.mark.parametrize("piece_s", [0.02, 0.06, 0.1, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 44_100, 48_000])
def test_a_short_command_of_the_declared_rate_puts_none_in_doubt(
    rate: int, piece_s: float, jitter_s: float
) -> None:
    for seed in range(8):
        for seconds in (1.5, 2.0, 2.5, 3.0, 4.0):
            assert doubted(rate, rate, seconds, piece_s, jitter_s, seed) is None


# Milliseconds between arrivals of recorded sound that was sent at once, on a busy machine: pieces
# of 0.5 s, and of 0.1 s.
BURSTS = [
    (0.5, "58 96 64 96 101 73 82"),
    (0.5, "58 88 94 103 143 37 103 57 97 123 91 57 97 94 119 67 108 69 96 99 52"),
    (0.1, "1 48 13 28 11 46 22 52 17 44 21 67 19 38 29 56 21 36 6 56 14 32 16 24 16 9 13 6 24 26"),
    (0.1, "1 14 17 28 8 25 15 32 8 16 16 20 12 14 18 16 24 13 15 12 20 6 6 16 16 8 24 16 9 19 16"),
]


@pytest.mark.parametrize(("piece_s", "intervals"), BURSTS)
@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_recorded_sound_that_a_busy_machine_sends_puts_no_rate_in_doubt(
    rate: int, piece_s: float, intervals: str
) -> None:
    pace, now = Pace(rate), 0.0
    pace.receive(piece_s, now)
    for interval in intervals.split():
        now += int(interval) / 1000
        pace.receive(piece_s, now)
        assert pace.doubted_hz is None


@pytest.mark.parametrize("slower", [1.2, 1.45, 2.0, 3.0])
def test_a_sender_that_sleeps_and_is_starved_puts_no_rate_in_doubt(slower: float) -> None:
    wrong = 0
    for seed in range(40):  # the delays are a random walk, and no jitter around a line
        pace, rng, now = Pace(16_000), np.random.default_rng(seed), 0.0
        for _ in range(120):
            now += 0.02 * slower * float(rng.gamma(1.0))
            pace.receive(0.02, now)
        wrong += pace.doubted_hz is not None
    assert wrong <= 2


@pytest.mark.parametrize("jitter_s", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("piece_s", [0.02, 0.1, 1.0])
@pytest.mark.parametrize("declared", [16_000, 48_000])
def test_jitter_puts_the_declared_rate_in_no_doubt(
    declared: int, piece_s: float, jitter_s: float
) -> None:
    for seed in range(8):
        pace, rng, now = Pace(declared), np.random.default_rng(seed), 0.0
        for number in range(round(5.0 / piece_s)):
            now = max(now, number * piece_s + jitter_s * float(rng.random()))
            pace.receive(piece_s, now)
            assert now < 3 * jitter_s or pace.doubted_hz is None


@pytest.mark.parametrize("kept_s", [0.2, 1.0, 3.0])
def test_sound_that_was_kept_while_the_stream_began_puts_no_rate_in_doubt(kept_s: float) -> None:
    pace = Pace(16_000)
    for number in range(round(kept_s / 0.02)):
        pace.receive(0.02, 0.001 * number)
    now = 0.001 * round(kept_s / 0.02)
    for number in range(150):
        pace.receive(0.02, now + 0.02 * number)
        assert pace.doubted_hz is None
