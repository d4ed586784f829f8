"""The last seconds of sound, for any cutting of it into pieces."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.audio.recent import RecentSound


@given(st.lists(st.integers(0, 40), max_size=20), st.integers(0, 50), st.integers(-5, 300))
def test_what_is_held_is_the_end_of_what_came(pieces: list[int], start: int, since: int) -> None:
    recent, all_sound = RecentSound(25, start), np.arange(sum(pieces), dtype=np.int16)
    at = 0
    for count in pieces:
        recent.add((all_sound[at : at + count] / 32_768).astype(np.float32))
        at += count
    begin, end = max(start, start + len(all_sound) - 25), start + len(all_sound)
    assert (recent.begin, recent.end) == (begin, end)
    wanted = all_sound[max(since, begin) - start : max(0, min(since + 10, end) - start)]
    assert recent.piece(since, since + 10).tolist() == wanted.tolist()


def test_beyond_full_scale_it_is_clipped() -> None:
    recent = RecentSound(4, 0)
    recent.add(np.array([1.5, -1.5, 0.5], np.float32))
    assert recent.piece(0, 3).tolist() == [32_767, -32_768, 16_384]
