"""The rate at which sound comes, against the declared one."""

from __future__ import annotations

import numpy as np
import pytest

from engine.arrival.pace import MOST_S, Pace


def send(
    pace: Pace,
    ratio: float,
    seconds: float,
    piece_s: float = 0.02,
    jitter_s: float = 0.0,
    at: float = 7.0,
) -> float | None:
    """Sound in real time whose rate is ``ratio`` times the declared one; when it was suspected."""
    rng, told = np.random.default_rng(1), None
    due, last = at, at
    while due < at + seconds:
        due += piece_s
        last = max(last, due + jitter_s * float(rng.random()))
        if pace.receive(piece_s * ratio, last) and told is None:
            told = last - at
    return told


@pytest.mark.parametrize(
    ("declared", "true"),
    [
        (16_000, 8000),
        (8000, 16_000),
        (16_000, 44_100),
        (44_100, 48_000),
        (48_000, 44_100),
        (16_000, 32_000),
        (48_000, 16_000),
        (16_000, 48_000),
        (8000, 48_000),
        (16_000, 96_000),
    ],
)
@pytest.mark.parametrize("piece_s", [0.02, 0.1, 0.25])
def test_another_rate_is_named_within_five_seconds(
    declared: int, true: int, piece_s: float
) -> None:
    pace = Pace(declared)
    told = send(pace, true / declared, 10.0, piece_s)
    assert pace.likely_hz == true
    assert told is not None
    assert told < 5.0


@pytest.mark.parametrize("jitter_s", [0.03, 0.1])
def test_another_rate_is_named_through_a_network_that_jitters(jitter_s: float) -> None:
    pace = Pace(16_000)
    assert send(pace, 0.5, 20.0, jitter_s=jitter_s) is not None
    assert pace.likely_hz == 8000


@pytest.mark.parametrize(("piece_s", "jitter_s"), [(0.1, 0.5), (0.25, 0.5), (0.25, 0.8)])
@pytest.mark.parametrize(
    ("declared", "true"), [(16_000, 8000), (48_000, 44_100), (44_100, 48_000), (8000, 48_000)]
)
def test_another_rate_is_named_through_a_network_that_jitters_much(
    declared: int, true: int, piece_s: float, jitter_s: float
) -> None:
    pace = Pace(declared)
    told = send(pace, true / declared, 60.0, piece_s, jitter_s)
    assert told is not None
    assert told < 40.0
    assert pace.likely_hz == true


@pytest.mark.parametrize("jitter_s", [0.0, 0.05, 0.3, 0.8, 1.0])
@pytest.mark.parametrize("piece_s", [0.02, 0.1, 1.0, 2.0])
def test_the_declared_rate_is_never_suspected(piece_s: float, jitter_s: float) -> None:
    pace = Pace(16_000)
    assert send(pace, 1.0, 70.0, piece_s, jitter_s) is None
    assert pace.likely_hz is None


@pytest.mark.parametrize("jitter_s", [0.0, 0.3])
@pytest.mark.parametrize("piece_s", [0.02, 0.1, 1.0])
def test_the_declared_rate_is_not_suspected_in_an_hour(piece_s: float, jitter_s: float) -> None:
    assert send(Pace(16_000), 1.0, 3600.0, piece_s, jitter_s) is None


@pytest.mark.parametrize("after_s", [3.0, 61.0, 300.0])
@pytest.mark.parametrize(("true", "piece_s"), [(8000, 0.02), (44_100, 0.1), (48_000, 0.25)])
def test_a_headset_that_changes_its_rate_is_found_at_any_time(
    after_s: float, true: int, piece_s: float
) -> None:
    pace = Pace(16_000)
    assert send(pace, 1.0, after_s, piece_s) is None
    told = send(pace, true / 16_000, 30.0, piece_s, at=7.0 + after_s)
    assert (told is not None, pace.likely_hz) == (True, true)
    assert told is not None
    assert told < 5.0
    send(pace, 1.0, 40.0, piece_s, at=37.0 + after_s)
    assert pace.likely_hz is None


def swinging(
    pace: Pace,
    ratio: float,
    seconds: float,
    *,
    swing_s: float,
    period_s: float,
    seed: int,
    piece_s: float = 0.1,
    jitter_s: float = 0.01,
) -> tuple[float | None, int]:
    """Over a link whose delay swings slowly: when it was first suspected, and how many changes."""
    rng = np.random.default_rng(seed)
    phase, told, changes, last = rng.uniform(0, 2 * np.pi), None, 0, 0.0
    for number in range(1, round(seconds / piece_s) + 1):
        sent = number * piece_s
        swing = swing_s * (1 + np.sin(2 * np.pi * sent / period_s + phase))
        last = max(last, sent + float(swing) + jitter_s * float(rng.random()))
        if pace.receive(piece_s * ratio, last):
            changes += 1
            told = last if told is None else told
    return told, changes


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("period_s", [8.0, 10.0, 14.0, 20.0, 40.0])
@pytest.mark.parametrize("declared", [44_100, 48_000])
def test_a_delay_that_swings_slowly_is_no_other_rate(
    declared: int, period_s: float, seed: int
) -> None:
    for jitter_s in (0.0, 0.005, 0.05):
        pace = Pace(declared)
        found = swinging(
            pace, 1.0, 300.0, swing_s=0.3, period_s=period_s, seed=seed, jitter_s=jitter_s
        )
        assert found == (None, 0)


@pytest.mark.parametrize("seed", range(8))
def test_a_delay_that_wanders_is_no_other_rate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for declared in (44_100, 48_000):
        pace, delay_s, to_s, last = Pace(declared), 0.3, 0.3, 0.0
        for number in range(1, 3000):
            if not number % 50:
                to_s = float(rng.uniform(0.0, 0.6))
            delay_s += (to_s - delay_s) / 20
            last = max(last, number * 0.1 + delay_s)
            assert not pace.receive(0.1, last)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("declared", "true"), [(48_000, 44_100), (44_100, 48_000)])
@pytest.mark.parametrize("jitter_s", [0.01, 0.05, 0.1])
def test_a_near_rate_is_told_through_usual_jitter(
    declared: int, true: int, jitter_s: float, seed: int
) -> None:
    pace = Pace(declared)
    told, changes = swinging(
        pace, true / declared, 120.0, swing_s=0.0, period_s=10.0, seed=seed, jitter_s=jitter_s
    )
    assert (pace.likely_hz, changes) == (true, 1)
    assert told is not None
    assert told < 15.0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("period_s", [10.0, 20.0])
@pytest.mark.parametrize(("declared", "true"), [(48_000, 44_100), (44_100, 48_000)])
def test_a_near_rate_is_told_where_the_delay_swings_and_stays_told(
    declared: int, true: int, period_s: float, seed: int
) -> None:
    pace = Pace(declared)
    told, changes = swinging(
        pace, true / declared, 300.0, swing_s=0.3, period_s=period_s, seed=seed
    )
    assert (pace.likely_hz, changes) == (true, 1)
    assert told is not None
    assert told < 60.0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("declared", "true"), [(16_000, 8000), (8000, 16_000), (16_000, 44_100)])
def test_a_far_rate_is_told_soon_where_the_delay_swings(
    declared: int, true: int, seed: int
) -> None:
    pace = Pace(declared)
    told, _ = swinging(pace, true / declared, 60.0, swing_s=0.3, period_s=15.0, seed=seed)
    assert pace.likely_hz == true
    assert told is not None
    assert told < 30.0


@pytest.mark.parametrize("drift", [0.9995, 1.0005, 0.99, 1.01])
def test_a_clock_that_is_a_little_off_is_not_suspected(drift: float) -> None:
    assert send(Pace(44_100), drift, 60.0) is None


def test_a_client_that_sends_speech_only_is_not_suspected() -> None:
    pace, now = Pace(16_000), 0.0
    for speech_s, pause_s in [(1.3, 1.4), (2.2, 2.1), (0.8, 5.0), (3.0, 3.0)] * 5:
        assert send(pace, 1.0, speech_s, at=now) is None
        now += speech_s + pause_s


@pytest.mark.parametrize("speed", [1.0, 8.0, 20.0, 300.0])
def test_a_file_is_not_suspected(speed: float) -> None:
    assert send(Pace(16_000), speed, 20.0) is None


def test_an_outage_and_what_was_kept_are_not_suspected() -> None:
    pace = Pace(16_000)
    assert send(pace, 1.0, 5.0, at=0.0) is None
    for _ in range(100):  # ten seconds at once
        pace.receive(0.1, 15.0)
    assert send(pace, 1.0, 2 * MOST_S, at=15.0) is None


def test_a_suspicion_ends_when_the_pace_is_right() -> None:
    pace = Pace(16_000)
    send(pace, 0.5, 6.0, at=0.0)
    assert pace.likely_hz == 8000
    send(pace, 1.0, 20.0, at=6.0)
    assert pace.likely_hz is None


@pytest.mark.parametrize(("declared", "true"), [(16_000, 8000), (48_000, 44_100), (8000, 48_000)])
def test_a_suspicion_stands_while_the_pace_is_of_no_rate(declared: int, true: int) -> None:
    pace = Pace(declared)
    send(pace, true / declared, 10.0, at=0.0)
    assert pace.likely_hz == true
    send(pace, 1.045 * true / declared, 12.0, at=10.0)  # the network's delay shrinks
    assert pace.likely_hz == true
    send(pace, true / declared, 12.0, at=22.0)
    assert pace.likely_hz == true
    send(pace, 1.0, 20.0, at=34.0)
    assert pace.likely_hz is None


@pytest.mark.parametrize("pace", [4.5, 5.5, 6.0])
def test_a_recorded_command_in_a_burst_is_not_taken_for_another_rate(pace: float) -> None:
    measured = Pace(16_000)
    for number in range(25):
        measured.receive(0.1, number * 0.1 / pace)
        assert measured.doubted_hz is None
