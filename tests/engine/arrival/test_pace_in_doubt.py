"""Whether the declared rate is in doubt, before another one can be named."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.arrival.pace import Pace

Float64 = NDArray[np.float64]


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


def heard(pace: Pace, arrivals: Float64, piece_s: float) -> list[tuple[float, int | None, bool]]:
    """What is in doubt or named as each piece of so much sound comes, and whether it is named."""
    found = []
    for at in arrivals:
        pace.receive(piece_s, float(at))
        named = pace.likely_hz is not None
        found.append((float(at), pace.likely_hz or pace.doubted_hz, named))
    return found


def pieces(lasting_s: float, piece_s: float) -> Float64:
    """When each of them is due."""
    return np.arange(1, round(lasting_s / piece_s) + 1) * piece_s


def delayed(due: Float64, jitter_s: float, seed: int = 1) -> Float64:
    """Arrivals in order, each late by up to so much."""
    late = jitter_s * np.random.default_rng(seed).random(len(due))
    return np.maximum.accumulate(due + late)


@pytest.mark.parametrize("jitter_s", [0.0, 0.03, 0.1])
@pytest.mark.parametrize("piece_s", [0.02, 0.1, 0.25])
@pytest.mark.parametrize(
    ("declared", "true"),
    [(16_000, 8000), (16_000, 48_000), (16_000, 22_050), (8000, 16_000), (48_000, 16_000)],
)
@pytest.mark.parametrize(("after_s", "hole_s"), [(5.0, 0.0), (90.0, 0.0), (90.0, 0.3)])
def test_a_rate_that_changes_is_in_doubt_at_once_and_soon_named(
    declared: int, true: int, piece_s: float, jitter_s: float, after_s: float, hole_s: float
) -> None:
    """Some sound may be lost as it changes."""
    pace = Pace(declared)
    right = 7 + delayed(pieces(after_s, piece_s), jitter_s)
    assert all(hz is None for at, hz, _ in heard(pace, right, piece_s) if at > 10)
    changed = 7 + after_s + hole_s
    wrong = changed + delayed(pieces(12, piece_s), jitter_s)
    found = heard(pace, wrong, piece_s * true / declared)
    doubted = next(at for at, hz, _ in found if hz is not None)
    named = next(at for at, hz, sure in found if sure and hz == true)
    assert doubted - changed <= 1.8
    assert named - changed <= (7.0 if hole_s else 5.5)
    assert all(hz is not None for at, hz, _ in found if at >= doubted)
    again = changed + 12 + delayed(pieces(12, piece_s), jitter_s)
    back = next(at for at, hz, _ in heard(pace, again, piece_s) if hz is None)
    assert back - changed - 12 <= 6.0


def stalls(due: Float64, rng: np.random.Generator) -> Float64:
    """Every ten seconds nothing comes for a moment, and then all at once."""
    late = np.zeros(len(due))
    for at in np.arange(5, due[-1], 10):
        lasts = rng.uniform(0.3, 0.95)
        inside = (due > at) & (due < at + lasts)
        late[inside] = at + lasts - due[inside]
    return late


def swings(due: Float64, rng: np.random.Generator) -> Float64:
    return np.asarray(0.3 + 0.3 * np.sin(2 * np.pi * due / 10), np.float64)


def jams(due: Float64, rng: np.random.Generator) -> Float64:
    """Twice a minute sound comes at two thirds of its pace for 3 s, and catches up."""
    since = (due - 20) % 30
    late = np.where(since < 3, since / 2, np.maximum(0, 1.5 - (since - 3) / 2))
    return np.where(due < 20, 0, late)


def crowds(due: Float64, rng: np.random.Generator) -> Float64:
    return rng.exponential(0.05, len(due))


@pytest.mark.parametrize(("network", "moments"), [(stalls, 0), (swings, 0), (crowds, 0), (jams, 1)])
@pytest.mark.parametrize("piece_s", [0.02, 0.1, 0.25])
def test_of_a_poor_network_the_first_jam_alone_is_in_doubt(
    network: Callable[[Float64, np.random.Generator], Float64], moments: int, piece_s: float
) -> None:
    rng, due = np.random.default_rng(3), np.arange(piece_s, 600, piece_s)
    late = network(due, rng) + 0.01 * rng.random(len(due))
    found = heard(Pace(16_000), 7 + np.maximum.accumulate(due + late), piece_s)
    doubts = [hz is not None for _, hz, _ in found]
    assert not any(named for _, _, named in found)
    assert sum(now and not before for before, now in pairwise(doubts)) <= moments
    assert sum(doubts) <= moments * 3.0 / piece_s
