from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.diarisation import Found, changes, find_changes, joined, overlap
from models.evaluation.rttm import Turn, Turns

ABA: Turns = (Turn(0, 4, "a"), Turn(4.4, 8, "b"), Turn(8, 12, "a"))


def test_turns_of_one_speaker_are_joined_and_the_pause_belongs_to_the_change() -> None:
    turns = (Turn(5, 6, "b"), Turn(0, 1, "a"), Turn(1.5, 3, "a"))
    assert joined(turns) == (Turn(0, 3, "a"), Turn(5, 6, "b"))
    assert changes(turns) == [(3, 5)]
    assert changes((Turn(0, 3, "a"), Turn(2, 4, "b"))) == [(2, 2)]  # overlapped speech


def test_a_change_within_the_tolerance_of_the_pause_is_found() -> None:
    told = (Turn(0, 3.6, "x"), Turn(3.6, 9.2, "y"), Turn(9.2, 12, "z"))
    assert find_changes(ABA, told, 0.5) == Found(2, 2, 1)
    assert find_changes(ABA, told, 1.5) == Found(2, 2, 2)


def test_one_hypothesis_finds_one_change_only() -> None:
    reference = (Turn(0, 4, "a"), Turn(4, 4.3, "b"), Turn(4.3, 8, "a"))
    told = (Turn(0, 4.1, "x"), Turn(4.1, 8, "y"))
    assert find_changes(reference, told, 0.5) == Found(2, 1, 1)
    assert find_changes(told, reference, 0.5) == Found(1, 2, 1)


def test_nobody_found_and_nothing_there() -> None:
    assert find_changes(ABA, (), 0.5) == Found(2, 0, 0)
    assert find_changes((Turn(0, 9, "a"),), ABA, 0.5) == Found(0, 2, 0)


def test_the_reference_is_pure_and_covered() -> None:
    for clusters in (False, True):
        found = overlap(ABA, ABA, clusters=clusters)
        assert found.speech_s == pytest.approx(11.6)
        assert found.pure_s == found.covered_s == pytest.approx(11.6)


def test_one_segment_covers_all_and_is_impure() -> None:
    told = (Turn(0, 12, "x"),)
    segments, clusters = (overlap(ABA, told, clusters=c) for c in (False, True))
    assert segments.covered_s == clusters.covered_s == pytest.approx(11.6)
    assert segments.pure_s == pytest.approx(4)  # the longest of three turns
    assert clusters.pure_s == pytest.approx(8)  # both of a's


def test_segments_forgive_new_names_and_clusters_do_not() -> None:
    told = (Turn(0, 4.4, "x"), Turn(4.4, 8, "y"), Turn(8, 12, "z"))
    assert overlap(ABA, told, clusters=False).covered_s == pytest.approx(11.6)
    assert overlap(ABA, told, clusters=True).covered_s == pytest.approx(7.6)


def test_speech_that_only_one_of_them_has_does_not_count() -> None:
    found = overlap((Turn(0, 2, "a"),), (Turn(1, 5, "x"),), clusters=False)
    assert found.speech_s == found.pure_s == found.covered_s == 1


turns = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 5), st.sampled_from("abc")), max_size=6
)


@given(turns, turns)
def test_figures_stay_within_their_bounds(one: list, other: list) -> None:
    first, second = (tuple(Turn(a, a + n, who) for a, n, who in some) for some in (one, other))
    found = find_changes(first, second, 0.5)
    assert 0 <= found.hits <= min(found.reference, found.hypothesised)
    for clusters in (False, True):
        shared = overlap(first, second, clusters=clusters)
        assert 0 <= shared.pure_s <= shared.speech_s + 1e-9
        assert 0 <= shared.covered_s <= shared.speech_s + 1e-9
