"""Rolling windows: their lengths, their media time, and no dependence on the pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.speech.windows import Window, WindowConfig, Windows

CONFIG = WindowConfig(window_s=0.03, hop_s=0.005, first_s=0.01)  # 480, 80, 160 samples


def push(pieces: list[tuple[int, np.ndarray]]) -> list[Window]:
    windows = Windows(CONFIG)
    return [w for start, samples in pieces for w in windows.push(start, samples)]


def counted(start: int, length: int) -> np.ndarray:
    return np.arange(start, start + length, dtype=np.float32)


def test_windows_grow_then_roll() -> None:
    windows = push([(0, counted(0, 800))])
    assert [w.place.position for w in windows] == list(range(160, 801, 80))
    assert [len(w.samples) for w in windows] == [160, 240, 320, 400, 480, 480, 480, 480, 480]
    for window in windows:
        np.testing.assert_array_equal(
            window.samples, counted(window.place.start, len(window.samples))
        )
        assert window.place.end == window.place.position


def test_media_time_skips_the_silence_between_pieces() -> None:
    window = push([(0, counted(0, 100)), (5000, counted(5000, 60))])[0]
    assert (window.place.start, window.place.end, window.place.position) == (0, 5060, 160)
    np.testing.assert_array_equal(window.samples[99:101], [99, 5000])


@given(st.lists(st.integers(1, 300), min_size=1, max_size=30))
def test_pieces_of_any_size_give_the_same_windows(sizes: list[int]) -> None:
    total = sum(sizes)
    edges = np.cumsum([0, *sizes])
    split = push([(int(a), counted(int(a), n)) for a, n in zip(edges, sizes, strict=False)])
    whole = push([(0, counted(0, total))])
    assert [(w.place.start, w.place.end, w.place.position) for w in split] == [
        (w.place.start, w.place.end, w.place.position) for w in whole
    ]
    for a, b in zip(split, whole, strict=True):
        np.testing.assert_array_equal(a.samples, b.samples)


def test_a_wider_hop_holds_from_the_window_after_next() -> None:
    windows = Windows(CONFIG)
    list(windows.push(0, counted(0, 160)))
    windows.set_hop(0.01)
    positions = [w.place.position for w in windows.push(160, counted(160, 480))]
    assert positions == [240, 400, 560]


@pytest.mark.parametrize("bad", [{"hop_s": 0.0}, {"hop_s": 4.0}, {"first_s": 0.0}, {"first_s": 5}])
def test_lengths_that_cannot_be_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="windows need"):
        WindowConfig(**bad)
