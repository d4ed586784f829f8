from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.benchmark.change_tables import changes_table, rttm_table, segmentation_cells
from models.benchmark.engine import SessionRecord
from models.benchmark.estimates import RULE_OF_THREE, Draws
from models.benchmark.results import ConversationResult
from models.benchmark.truth import Truth
from models.evaluation.report import Estimate
from models.evaluation.rttm import RttmError, Turn, Turns

Make = Callable[..., Truth]
DRAWS = Draws(2, 20, 0)
ONCE = np.ones((1, 1))
TALK: Turns = (Turn(0, 10, "anna"), Turn(11, 20, "bert"))


def told(*turns: tuple[float, float, str]) -> Turns:
    return tuple(Turn(*turn) for turn in turns)


def record(turns: Turns) -> SessionRecord:
    none = np.empty(0)
    return SessionRecord(np.empty((0, 2)), (), none, none, none, none, none, turns)


def value(figure: Any) -> float:
    assert isinstance(figure, Estimate)
    return figure.value


def test_a_change_is_found_in_the_pause_or_within_the_tolerance_of_it() -> None:
    for at, within_half, within_one in ((10.5, 1, 1), (9.6, 1, 1), (11.9, 0, 1), (12.1, 0, 0)):
        cells = segmentation_cells([(TALK, told((0, at, "x"), (at, 20, "y")))], ONCE)
        for column in ("precision", "recall", "F1"):
            assert value(cells[f"{column} ±0.5 s"]) == within_half, at
            assert value(cells[f"{column} ±1 s"]) == within_one, at


def test_figures_are_sums_over_all_conversations() -> None:
    """Three of the four changes that were told are right; six were wanted."""
    back = (*TALK, Turn(21, 30, "anna"))
    pairs = [
        (TALK, told((0, 10.5, "x"), (10.5, 15, "y"), (15, 20, "x"))),
        (back, told((0, 10.5, "x"), (10.5, 20.5, "y"), (20.5, 30, "x"))),
        ((*back, Turn(31, 40, "bert")), told((0, 40, "x"))),
    ]
    cells = segmentation_cells(pairs, np.ones((1, 3)))
    assert value(cells["precision ±1 s"]) == 3 / 4
    assert value(cells["recall ±1 s"]) == 3 / 6
    assert value(cells["F1 ±1 s"]) == 2 * 3 / (4 + 6)
    hours = (19 + 28 + 37) / 3600  # of speech, which the pauses between turns are not
    assert value(cells["false /h"]) == pytest.approx(1 / hours)


def test_no_false_change_has_the_upper_bound_of_so_much_speech() -> None:
    cells = segmentation_cells([(TALK, told((0, 10.5, "x"), (10.5, 20, "y")))], ONCE)
    false = cells["false /h"]
    assert isinstance(false, Estimate)
    assert false.value == 0
    assert false.high == pytest.approx(RULE_OF_THREE * 3600 / 19)


def test_segments_end_at_changes_and_clusters_take_a_name_together() -> None:
    """anna, bert, anna again: half of bert is heard as anna."""
    reference = told((0, 10, "anna"), (10, 20, "bert"), (20, 30, "anna"))
    one = told((0, 15, "x"), (15, 20, "y"), (20, 30, "x"))
    cells = segmentation_cells([(reference, one)], ONCE)
    # Segments: 10 of 15, 5 of 5, 10 of 10. Clusters: 20 of 25 in x, 5 of 5 in y.
    assert value(cells["segment purity %"]) == pytest.approx(100 * 25 / 30)
    assert value(cells["cluster purity %"]) == pytest.approx(100 * 25 / 30)
    # Turns lie in one segment for 10 of 10, 5 of 10, 10 of 10; speakers 20 of 20, 5 of 10.
    assert value(cells["segment coverage %"]) == pytest.approx(100 * 25 / 30)
    assert value(cells["cluster coverage %"]) == pytest.approx(100 * 25 / 30)
    other = told((0, 10, "x"), (10, 20, "y"), (20, 30, "z"))
    cells = segmentation_cells([(reference, other)], ONCE)
    assert value(cells["segment coverage %"]) == 100
    assert value(cells["cluster coverage %"]) == pytest.approx(100 * 20 / 30)
    assert value(cells["cluster purity %"]) == 100
    halves = told(*((at, at + 5, str(at)) for at in range(0, 30, 5)))  # each turn cut in two
    cells = segmentation_cells([(reference, halves)], ONCE)
    assert value(cells["segment purity %"]) == 100
    assert value(cells["segment coverage %"]) == 50


def test_kinds_where_voices_take_turns_have_a_row_together(truth: Make) -> None:
    right, wrong = told((0, 10.5, "x"), (10.5, 20, "y")), told((0, 20, "x"))
    results = [
        ConversationResult(truth(kind=kind, name=f"{kind}-0"), TALK, None, unclaimed, {}, {})
        for kind, unclaimed in (
            ("takeover", record(right)),
            ("meeting", record(wrong)),
            ("single", record(wrong)),
            ("impostor", None),  # nobody asked there
        )
    ]
    table = changes_table(results, DRAWS)
    recall = {row["conversations"]: value(row["recall ±1 s"]) for row in table.rows}
    assert recall == {
        "takeover, alternation, meeting": 0.5,
        "takeover": 1,
        "meeting": 0,
        "single": 0,
    }
    assert [row["of them"] for row in table.rows] == [2, 1, 1, 1]


def test_without_several_voices_there_is_no_row_of_them(truth: Make) -> None:
    single = ConversationResult(truth(kind="single"), TALK, None, record(TALK), {}, {})
    assert [row["conversations"] for row in changes_table([single], DRAWS).rows] == ["single"]
    assert changes_table([replace(single, unclaimed=None)], DRAWS).rows == []


def test_a_file_that_the_other_rttm_leaves_out_counts_as_silent() -> None:
    reference = {"talk-0": TALK, "talk-1": TALK, "solo": TALK}
    hypothesis = {"talk-0": TALK, "of nobody": TALK}
    table = rttm_table(reference, hypothesis, 20, 0)
    recall = {row["conversations"]: value(row["recall ±1 s"]) for row in table.rows}
    assert recall == {"all files": pytest.approx(1 / 3), "talk": 0.5, "solo": 0}
    assert [row["of them"] for row in table.rows] == [3, 2, 1]


def test_an_rttm_of_other_files_is_named_as_one() -> None:
    with pytest.raises(RttmError, match=r"none of the reference's 2 files.*such as 'a'"):
        rttm_table({"b": TALK, "a": TALK}, {"c": TALK}, 20, 0)
