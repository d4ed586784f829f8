"""Levels of speech by its place: of whole blocks, however the sound was cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio.speech_levels import BLOCK_SAMPLES, KEPT_BLOCKS, SILENT_DBFS, SpeechLevels
from engine.format import SAMPLE_RATE_HZ


def tone(level: float, seconds: float) -> np.ndarray:
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (level * np.sin(2 * np.pi * 200 * t)).astype(np.float32)


def levels(*pieces: np.ndarray) -> SpeechLevels:
    found = SpeechLevels()
    for piece in pieces:
        found.push(piece)
    return found


def test_the_middle_level_is_that_of_most_of_the_blocks() -> None:
    found = levels(tone(0.1, 2.0), tone(0.01, 1.0))
    second = SAMPLE_RATE_HZ
    assert found.median_dbfs(0, 2 * second) == pytest.approx(-23.0, abs=0.1)
    assert found.median_dbfs(2 * second, 3 * second) == pytest.approx(-43.0, abs=0.2)
    assert found.median_dbfs(0, 3 * second) == pytest.approx(-23.0, abs=0.1)


def test_only_whole_blocks_count_and_zeros_have_a_level() -> None:
    found = levels(np.zeros(BLOCK_SAMPLES + 5, np.float32))
    assert found.median_dbfs(0, 2 * BLOCK_SAMPLES) == SILENT_DBFS
    assert found.median_dbfs(1, BLOCK_SAMPLES) is None


@given(st.lists(st.integers(1, 9000), max_size=12))
def test_any_chunking_gives_the_same_levels(sizes: list[int]) -> None:
    sound = np.random.default_rng(3).uniform(-0.5, 0.5, 40_000).astype(np.float32)
    pieces = np.split(sound, np.minimum(np.cumsum(sizes), len(sound)))
    places = [(a, a + 16_000) for a in range(0, 24_000, 4_000)]
    whole, cut = levels(sound), levels(*pieces)
    assert [cut.median_dbfs(*one) for one in places] == [whole.median_dbfs(*one) for one in places]


def test_what_is_kept_does_not_grow_with_the_stream() -> None:
    found = levels(*(tone(0.1, 1.0) for _ in range(300)))
    end = 300 * SAMPLE_RATE_HZ
    assert found.median_dbfs(end - SAMPLE_RATE_HZ, end) == pytest.approx(-23.0, abs=0.1)
    assert found.median_dbfs(0, SAMPLE_RATE_HZ) is None
    assert len(found._dbfs) <= 2 * KEPT_BLOCKS
