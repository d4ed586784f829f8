"""The buffer: what is appended is there, and views stay true whatever follows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio.buffer import SMALLEST_SAMPLES, AudioBuffer


def counted(start: int, length: int) -> np.ndarray:
    return np.arange(start, start + length, dtype=np.float32)


@given(st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 9000)), max_size=12))
def test_slices_are_what_was_appended_and_stay_so(steps: list[tuple[int, int]]) -> None:
    buffer, views = AudioBuffer(), []
    for length, kept in steps:
        buffer.append(counted(buffer.end, length))
        buffer.forget(buffer.end - kept)
        views.append((buffer.start, buffer.slice(buffer.start, buffer.end)))
    for start, view in views:
        np.testing.assert_array_equal(view, counted(start, len(view)))


def test_what_is_forgotten_takes_no_room() -> None:
    buffer = AudioBuffer()
    for _ in range(100):
        buffer.append(np.zeros(5000, np.float32))
        buffer.forget(buffer.end - 1000)
    assert buffer.end == 500_000
    assert len(buffer._buffer) <= 2 * SMALLEST_SAMPLES


def test_small_pieces_are_not_copied_again_and_again() -> None:
    buffer, buffers = AudioBuffer(), set()
    for _ in range(100_000):
        buffer.append(np.zeros(1, np.float32))
        buffers.add(id(buffer._buffer))
    assert len(buffers) <= 8  # doubling


@pytest.mark.parametrize(("start", "end"), [(0, 5), (9, 11), (8, 7)])
def test_what_is_not_held_cannot_be_read(start: int, end: int) -> None:
    buffer = AudioBuffer()
    buffer.append(counted(0, 10))
    buffer.forget(4)
    with pytest.raises(IndexError, match="not within 4 to 10"):
        buffer.slice(start, end)
