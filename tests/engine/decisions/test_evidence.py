"""The evidence: each second counts once, the voice before is taken out, silence ages."""

from __future__ import annotations

import numpy as np
import pytest

from engine.decisions.evidence import KEPT_SAMPLES, Evidence
from engine.format import unit

S = 16_000


def units(seed: int, count: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, 12)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_growing_windows_replace_one_another() -> None:
    run = Evidence(0)
    for k, embedding in enumerate(units(0, 5)):
        voice = run.add(embedding, S + k * S // 2, S + k * S // 2)
        np.testing.assert_allclose(voice, embedding, atol=1e-6)
    assert run.samples == 3 * S


@pytest.mark.parametrize("hop", [S // 4, S // 2, S, 3 * S])
def test_a_second_of_speech_counts_once_however_windows_overlap(hop: int) -> None:
    run = Evidence(0)
    run.add(units(1, 1)[0], 3 * S, 3 * S)
    for position in range(3 * S + hop, 12 * S + 1, hop):
        run.add(units(2, 1)[0], position, 3 * S)
    assert run.samples == 12 * S
    first, later = units(1, 1)[0], units(2, 1)[0]
    expected = unit(3 * first + 9 * later)
    np.testing.assert_allclose(run.add(later, 12 * S, 3 * S), expected, atol=1e-5)


def test_what_was_said_long_ago_fades() -> None:
    old, new = units(3, 2)
    run = Evidence(0)
    run.add(old, 3 * S, 3 * S)
    for k in range(1, 241):
        voice = run.add(new, 3 * S + k * S // 2, 3 * S)
    assert run.samples == pytest.approx(KEPT_SAMPLES)
    assert voice @ new > 0.999


@pytest.mark.parametrize("share", [0.4, 0.7, 0.9])
def test_the_voice_before_is_taken_out_of_the_first_windows(share: float) -> None:
    before, after = units(4, 2)
    run = Evidence(10 * S, before)
    mixed = (1 - share) * before + share * after  # as measured, see engine.decisions.change_point
    voice = run.add(mixed.astype(np.float32), 10 * S + round(3 * S * share), 3 * S)
    np.testing.assert_allclose(voice, after, atol=1e-4)
    assert run.samples == pytest.approx(3 * S * share, abs=1)


def test_a_window_with_hardly_any_of_the_voice_is_not_blown_up() -> None:
    before, after = units(5, 2)
    voice = Evidence(10 * S, before).add((0.99 * before + 0.01 * after), 10 * S + 100, 3 * S)
    assert np.isfinite(voice).all()
    assert np.linalg.norm(voice) == pytest.approx(1, abs=1e-5)


def test_silence_lets_what_is_said_after_it_weigh_more() -> None:
    old, new = units(6, 2)
    plain, aged = Evidence(0), Evidence(0)
    for run in (plain, aged):
        run.add(old, 3 * S, 3 * S)
        run.add(old, 6 * S, 3 * S)
    aged.age(0.25)
    assert aged.samples == 1.5 * S
    assert aged.add(new, 9 * S, 3 * S) @ new > plain.add(new, 9 * S, 3 * S) @ new


def test_windows_that_failed_leave_a_gap_and_are_not_counted() -> None:
    run = Evidence(0)
    run.add(units(7, 1)[0], 3 * S, 3 * S)
    run.add(units(8, 1)[0], 20 * S, 3 * S)
    assert run.samples == 6 * S


def test_a_run_that_silence_has_aged_away_begins_again_with_what_is_said_next() -> None:
    before, after = units(9, 2)
    run = Evidence(0)
    run.add(before, 3 * S, 3 * S)
    run.add(before, 3 * S + S // 2, 3 * S)
    run.age(0.0)
    np.testing.assert_allclose(run.add(after, 4 * S, 3 * S), after, atol=1e-6)
    assert run.samples == S // 2
