"""The tape: what is appended is there, and views stay true whatever follows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio.buffer import SMALLEST, Tape


def counted(start: int, length: int) -> np.ndarray:
    return np.arange(start, start + length, dtype=np.float32)


@given(st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 9000)), max_size=12))
def test_slices_are_what_was_appended_and_stay_so(steps: list[tuple[int, int]]) -> None:
    tape, views = Tape(), []
    for length, kept in steps:
        tape.append(counted(tape.end, length))
        tape.forget(tape.end - kept)
        views.append((tape.start, tape.slice(tape.start, tape.end)))
    for start, view in views:
        np.testing.assert_array_equal(view, counted(start, len(view)))


def test_what_is_forgotten_takes_no_room() -> None:
    tape = Tape()
    for _ in range(100):
        tape.append(np.zeros(5000, np.float32))
        tape.forget(tape.end - 1000)
    assert tape.end == 500_000
    assert len(tape._buffer) <= 2 * SMALLEST


def test_small_pieces_are_not_copied_again_and_again() -> None:
    tape, buffers = Tape(), set()
    for _ in range(100_000):
        tape.append(np.zeros(1, np.float32))
        buffers.add(id(tape._buffer))
    assert len(buffers) <= 8  # doubling


@pytest.mark.parametrize(("start", "end"), [(0, 5), (9, 11), (8, 7)])
def test_what_is_not_held_cannot_be_read(start: int, end: int) -> None:
    tape = Tape()
    tape.append(counted(0, 10))
    tape.forget(4)
    with pytest.raises(IndexError, match="not within 4 to 10"):
        tape.slice(start, end)
