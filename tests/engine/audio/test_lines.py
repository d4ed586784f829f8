"""Steady lines: the same for any pieces, found from the second block on, and none that move."""

import numpy as np
import pytest

from engine.audio.lines import LINE_SAMPLES, SteadyLines
from engine.format import SAMPLE_RATE_HZ

BLOCKS = 12


def _blocks(tone: np.ndarray, *, noise: float = 30.0) -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.rint(tone + noise * rng.standard_normal(len(tone))).reshape(-1, LINE_SAMPLES)


def _tone(hz: float | np.ndarray, blocks: int = BLOCKS) -> np.ndarray:
    turns = np.cumsum(np.broadcast_to(hz, blocks * LINE_SAMPLES)) / SAMPLE_RATE_HZ
    return 900 * np.sin(2 * np.pi * turns)


@pytest.mark.parametrize("hz", [400, 1000, 3333, 7000])
def test_a_line_is_taken_away_from_the_second_block_on(hz: int) -> None:
    kept = SteadyLines().kept(_blocks(_tone(hz)))
    assert kept[0] == 1.0
    assert kept[1:].max() < 0.01


def test_a_tone_that_moves_is_no_line() -> None:
    rising = np.linspace(400, 4000, BLOCKS * LINE_SAMPLES)
    assert SteadyLines().kept(_blocks(_tone(rising))).tolist() == [1.0] * BLOCKS


def test_noise_and_silence_have_no_lines() -> None:
    nothing = np.zeros(BLOCKS * LINE_SAMPLES)
    assert SteadyLines().kept(_blocks(nothing)).tolist() == [1.0] * BLOCKS
    assert SteadyLines().kept(_blocks(nothing, noise=0.0)).tolist() == [1.0] * BLOCKS


@pytest.mark.parametrize("pieces", [[1] * BLOCKS, [5, 0, 7], [0, 3, 0, 0, 8, 1]])
def test_any_pieces_have_the_same_lines(pieces: list[int]) -> None:
    begins = np.concatenate([_tone(2000, 3), _tone(500, BLOCKS - 3)])
    blocks = _blocks(begins)
    whole, lines = SteadyLines().kept(blocks), SteadyLines()
    ends = np.cumsum(pieces)
    parts = [lines.kept(blocks[end - count : end]) for count, end in zip(pieces, ends, strict=True)]
    assert np.concatenate(parts).tolist() == whole.tolist()
    assert whole[3] == 1.0, "a line that has just begun"
    assert whole[2] < 0.01
    assert whole[4] < 0.01
