"""When the voice turned: found between windows, and put where a pause is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from engine.decisions.change_point import locate
from engine.speech.windows import WindowPlace

S = 16_000
RNG = np.random.default_rng(0)
BEFORE, AFTER = np.linalg.qr(RNG.standard_normal((192, 2)))[0].T.astype(np.float32)


@dataclass(frozen=True)
class Window:
    place: WindowPlace
    embedding: np.ndarray


def windows(
    turned: int, until: int, runs: tuple[tuple[int, int], ...] = ((0, 0),), noise: float = 0.0
) -> list[Window]:
    """Of 3 s each 0.5 s; overlapping windows share their noise, as those of speech do."""
    frames = noise * RNG.standard_normal((until // 800, 192)) * np.sqrt(3 * S / 800 / 192)
    found = []
    for position in range(3 * S, until + 1, S // 2):
        share = np.clip((position - turned) / (3 * S), 0, 1)
        heard = frames[(position - 3 * S) // 800 : position // 800].mean(axis=0)
        mixed = (1 - share) * BEFORE + share * AFTER + heard
        place = WindowPlace(position - 3 * S, position, position, 3 * S, runs)
        found.append(Window(place, mixed.astype(np.float32)))
    return found


@pytest.mark.parametrize("turned_s", [7.0, 7.2, 7.45])
@pytest.mark.parametrize("after_s", [2, 3, 4])
def test_a_turn_is_found_from_windows_that_hold_both(turned_s: float, after_s: int) -> None:
    turned = round(turned_s * S)
    position, at = locate(windows(turned, turned + after_s * S), BEFORE, 0)
    assert position == at == pytest.approx(turned, abs=0.1 * S)


@pytest.mark.parametrize("after_s", [2.5, 3.5])
def test_noise_that_windows_share_does_not_draw_it_early(after_s: float) -> None:
    errors = []
    for _ in range(40):
        found = locate(windows(8 * S, round((8 + after_s) * S), noise=0.6), BEFORE, 0)
        errors.append((found[0] - 8 * S) / S)
    assert abs(np.median(errors)) <= 0.2
    assert np.mean(np.abs(errors) <= 0.5) >= 0.6


def test_people_begin_after_a_pause_if_there_is_one_near() -> None:
    runs = ((0, 1000), (round(6.8 * S), 20 * S), (round(9.5 * S), 30 * S))
    position, at = locate(windows(7 * S, 10 * S, runs), BEFORE, 0)
    assert (position, at) == (round(6.8 * S), 20 * S)


def test_media_time_counts_the_silence_between() -> None:
    runs = ((0, 0), (4 * S, 9 * S))  # five seconds of silence after four of speech
    position, at = locate(windows(7 * S, 10 * S, runs), BEFORE, 0)
    assert at == position + 5 * S


def test_no_turn_before_the_run_began() -> None:
    position, _ = locate(windows(5 * S, 10 * S), BEFORE, 7 * S)
    assert position >= 7 * S
