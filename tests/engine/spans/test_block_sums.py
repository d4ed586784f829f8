"""Sums of blocks: merging the old ones changes no sum over whole cells, to the last bit."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from engine.spans.block_sums import (
    CELL_SAMPLES,
    END,
    FINE_SAMPLES,
    KEPT_SAMPLES,
    MERGE_SAMPLES,
    OVER,
    ROOM,
    BlockSums,
)

BLOCK = 1600
SECONDS = KEPT_SAMPLES // BLOCK // 10 + 20


def add(
    blocks: BlockSums,
    place: tuple[int, int],
    turn: int,
    sums: NDArray[Any],
    heads: NDArray[Any],
    over: bool = False,
) -> None:
    """A single block."""
    blocks.add([place], turn, sums[None], heads[None], np.array([over]))


def heard(blocks: int, *, overlapped: bool = False) -> BlockSums:
    rng = np.random.default_rng(3)
    found = BlockSums(16, 2)
    for i in range(blocks):
        sums, heads = rng.random((3, 16), np.float32), rng.random(2, np.float32)
        over = overlapped and rng.random() < 0.2
        add(found, (i * BLOCK, (i + 1) * BLOCK), 0, sums, heads, over)
    return found


def test_blocks_that_come_together_are_those_that_come_one_by_one() -> None:
    rng, single, together = np.random.default_rng(3), BlockSums(16, 2), BlockSums(16, 2)
    sums, heads = rng.random((90, 3, 16), np.float32), rng.random((90, 2), np.float32)
    places = [(i * BLOCK, (i + 1) * BLOCK) for i in range(90)]
    over = rng.random(90) < 0.2
    for first, after in pairwise([0, 5, 90]):
        rows = slice(first, after)
        together.add(places[rows], 0, sums[rows], heads[rows], over[rows])
    for row, place in enumerate(places):
        add(single, place, 0, sums[row], heads[row], bool(over[row]))
    assert together.saved() == single.saved()


def test_half_seconds_that_were_merged_have_the_sums_of_their_blocks() -> None:
    blocks = heard(300)
    end = 300 * BLOCK
    cells = [(at, at + CELL_SAMPLES) for at in range(0, end - FINE_SAMPLES, CELL_SAMPLES)]
    before = blocks.between(cells)
    blocks.settle(end)
    assert len(blocks) < 300
    np.testing.assert_array_equal(blocks.between(cells), before)


@given(st.lists(st.tuples(st.integers(0, 39), st.integers(1, 40)), min_size=1), st.booleans())
def test_spans_that_are_asked_for_together_have_the_sums_of_their_blocks(
    places: list[tuple[int, int]], overlapped: bool
) -> None:
    blocks = heard(40, overlapped=overlapped)
    spans = [(min(a, b - 1), max(a + 1, b)) for a, b in places]
    together = blocks.between([(a * BLOCK, b * BLOCK) for a, b in spans])
    for (start, end), sums in zip(spans, together, strict=True):
        over = blocks.places[:, OVER]
        counted = [i for i in range(start, end) if all(over[start:end]) or not over[i]]
        np.testing.assert_allclose(sums, blocks.sums[counted].sum(axis=0), rtol=1e-6)


@given(st.lists(st.tuples(st.integers(0, 299), st.integers(1, 300)), min_size=1))
def test_heads_have_the_means_of_the_blocks_of_each_span(places: list[tuple[int, int]]) -> None:
    blocks = heard(300, overlapped=True)
    spans = [(min(a, b - 1), max(a + 1, b)) for a, b in places]
    asked = [(a * BLOCK, b * BLOCK) for a, b in spans]
    values = blocks.heads(("a", "b"), 0, 300 * BLOCK).values
    for (start, end), means in zip(spans, blocks.means(asked, (1, 0)), strict=True):
        np.testing.assert_allclose(means, values[start:end, ::-1].mean(axis=0), atol=1e-6)


def test_merged_blocks_count_by_how_long_they_are() -> None:
    blocks, whole = heard(300), [(0, 300 * BLOCK)]
    before = blocks.means(whole, (0, 1))
    blocks.settle(300 * BLOCK)
    assert len(blocks) < 300
    np.testing.assert_allclose(blocks.means(whole, (0, 1)), before, atol=1e-6)
    with pytest.raises(LookupError, match="nothing is known"):
        blocks.means([(300 * BLOCK, 301 * BLOCK)], (0, 1))


def test_a_span_shorter_than_a_block_has_the_sums_of_that_in_which_it_begins() -> None:
    blocks = heard(3)
    (sums,) = blocks.between([(BLOCK + 100, BLOCK + 200)])
    np.testing.assert_array_equal(sums, blocks.sums[1])
    with pytest.raises(LookupError, match="nothing is known"):
        blocks.between([(0, BLOCK), (3 * BLOCK, 3 * BLOCK + 100)])


def test_of_no_spans_there_are_no_sums() -> None:
    for blocks in (heard(20), BlockSums(16, 2)):
        assert blocks.between([]).shape == (0, 3, 16)
        assert blocks.means([], (0, 1)).shape == (0, 2)


def test_the_last_ten_seconds_stay_as_they_are() -> None:
    blocks = heard(300)
    places, sums = blocks.places.copy(), blocks.sums.copy()
    blocks.settle(300 * BLOCK)
    fine = FINE_SAMPLES // BLOCK
    assert np.array_equal(blocks.places[-fine:], places[-fine:])
    assert np.array_equal(blocks.sums[-fine:], sums[-fine:])


def test_what_is_older_than_a_minute_becomes_one_without_overlapped_blocks() -> None:
    blocks, end = heard(10 * SECONDS, overlapped=True), 10 * SECONDS * BLOCK
    old = [i for i in range(10 * SECONDS) if blocks.places[i, END] <= end - KEPT_SAMPLES]
    alone = blocks.sums[[i for i in old if not blocks.places[i, OVER]]]
    blocks.settle(end)
    assert blocks.places[0].tolist() == [0, (old[-1] + 1) * BLOCK, 0, 0]
    np.testing.assert_allclose(blocks.sums[0], alone.sum(axis=0), rtol=1e-5)


@pytest.mark.parametrize("two_speak", [1, 100, 150])
def test_a_stream_that_two_began_is_known_whole_after_minutes(two_speak: int) -> None:
    """Blocks in which two speak count for nobody, unless there are no others."""
    blocks, one = BlockSums(16, 2), np.ones((3, 16), np.float32)
    for i in range(10 * SECONDS):
        add(blocks, (i * BLOCK, (i + 1) * BLOCK), 0, one, np.zeros(2), i < two_speak)
        if i % 5 == 4:
            blocks.settle((i + 1) * BLOCK)
    (whole,) = blocks.between([(0, 10 * SECONDS * BLOCK)])
    np.testing.assert_array_equal(whole, (10 * SECONDS - two_speak) * one)


def test_where_two_spoke_all_of_the_time_that_is_what_is_known() -> None:
    blocks, one = BlockSums(16, 2), np.ones((3, 16), np.float32)
    for i in range(10 * SECONDS):
        add(blocks, (i * BLOCK, (i + 1) * BLOCK), 0, one, np.zeros(2), over=True)
        if i % 5 == 4:
            blocks.settle((i + 1) * BLOCK)
    spans = [(0, 10 * SECONDS * BLOCK), (0, blocks.places[0, END])]
    whole, old = blocks.between(spans)
    np.testing.assert_array_equal(whole, 10 * SECONDS * one)
    np.testing.assert_array_equal(old, blocks.places[0, END] // BLOCK * one)


def test_heads_of_merged_blocks_are_their_mean() -> None:
    blocks = heard(300)
    heads = blocks.heads(("a", "b"), 0, CELL_SAMPLES).values
    blocks.settle(300 * BLOCK)
    (mean,) = blocks.heads(("a", "b"), 0, CELL_SAMPLES).values
    np.testing.assert_allclose(mean, heads.mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("last", [1600, 400])
def test_what_was_heard_counts_by_how_long_it_lasted_however_often_it_was_merged(last: int) -> None:
    """What is older than a minute is one block, into which less than 2 s go at every merge.

    Turns of 1.5 s end with a block that may be shorter than the others.
    """
    rng, merged, heard, length = np.random.default_rng(3), BlockSums(16, 2), [], []
    at = turn = 0
    for i in range(10 * 3 * SECONDS):
        heads = np.float32([20.0, 5.0]) + rng.random(2, np.float32)
        heads -= np.float32([20.0 * (i >= 15 * SECONDS), 0.0])  # in noise in the second half
        end = at + (last if i % 15 == 14 else BLOCK)
        add(merged, (at, end), turn, np.ones((3, 16), np.float32), heads)
        heard.append(heads)
        length.append(end - at)
        at, turn = end, end if i % 15 == 14 else turn
        if i % 5 == 4:
            merged.settle(at)
    assert merged.places[0, END] > 60 * SAMPLE_RATE_HZ
    (means,) = merged.means([(0, at)], (0, 1))
    np.testing.assert_allclose(means, np.average(heard, axis=0, weights=length), rtol=1e-5)


def test_blocks_are_merged_once_in_two_seconds() -> None:
    blocks = heard(300)
    blocks.settle(300 * BLOCK)
    merged = len(blocks)
    blocks.settle(300 * BLOCK + MERGE_SAMPLES - 1)
    assert len(blocks) == merged


@pytest.mark.parametrize("overlapped", [False, True])
def test_merging_again_and_again_changes_no_sum_over_half_seconds(overlapped: bool) -> None:
    rng, kept, merged = np.random.default_rng(3), BlockSums(16, 2), BlockSums(16, 2)
    for i in range(10 * SECONDS):
        sums, heads = rng.random((3, 16), np.float32), rng.random(2, np.float32)
        for blocks in (kept, merged):
            over = overlapped and i % 7 == 0
            add(blocks, (i * BLOCK, (i + 1) * BLOCK), 0, sums, heads, over)
        if i % 5 == 4:
            merged.settle((i + 1) * BLOCK)
    end = 10 * SECONDS * BLOCK
    cells = [(at, at + CELL_SAMPLES) for at in range(end - 50 * SAMPLE_RATE_HZ, end, CELL_SAMPLES)]
    np.testing.assert_allclose(merged.between(cells), kept.between(cells), rtol=1e-6)
    assert merged.places[-1, END] == end


def rows_held(blocks: BlockSums) -> int:
    """What there is memory for."""
    assert blocks.sums.base is not None
    return len(blocks.sums.base)


def test_a_stream_holds_no_more_after_minutes_than_after_one() -> None:
    """There is room for the blocks of a merge and of what comes until the next, and little more."""
    blocks, minute = BlockSums(16, 2), 60 * SAMPLE_RATE_HZ // BLOCK
    held = []
    for i in range(4 * minute):
        add(blocks, (i * BLOCK, (i + 1) * BLOCK), 0, np.ones((3, 16)), np.ones(2))
        if i % 5 == 4:
            blocks.settle((i + 1) * BLOCK)
        held.append(rows_held(blocks))
    assert held[-1] <= held[minute + 20] <= len(blocks) + MERGE_SAMPLES // BLOCK + ROOM
