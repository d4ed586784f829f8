from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from models.evaluation.comparison import as_markdown, compared
from models.evaluation.scoring import Cell, Scored


def cell(
    name: str,
    condition: str,
    eer: float,
    resampled: list[float],
    calibrated: float | None = None,
) -> Cell:
    target = np.arange(80) < 40
    one = Scored(np.zeros(80), False, {"eer": eer}, {"eer": np.array(resampled)})
    two = (
        one
        if calibrated is None
        else Scored(np.zeros(80), True, {"eer": calibrated}, {"eer": np.array(resampled) / 2})
    )
    return Cell(name, 2.0, condition, 0, 0, target, 9, one, two)


def test_ratio_is_of_the_means_and_resampled_in_pairs() -> None:
    theirs = [cell("a", "noise", 0.10, [0.1, 0.2]), cell("b", "noise", 0.30, [0.3, 0.2])]
    ours = [cell("a", "noise", 0.06, [0.1, 0.2], 0.05), cell("b", "noise", 0.30, [0.3, 0.2], 0.25)]
    first, _, mean = compared("Resemblyzer 0.1.4", theirs, ours)
    assert first.ratio.value == pytest.approx(0.5)
    assert (first.ratio.low, first.ratio.high) == pytest.approx((0.5, 0.5))  # in each resample
    assert mean.lists == 2
    assert mean.theirs.value == pytest.approx(0.2)
    assert mean.calibrated.value == pytest.approx(0.15)
    assert mean.ratio.value == pytest.approx(0.75)
    assert mean.floor == 0.5
    page = as_markdown([first, mean], ["R", "V"], {})
    assert page.count("0.5: missed") == page.count("0.5: reached") == 1
    assert page.index("## a") < page.index("## Mean over the lists")
    assert msgspec.json.decode(msgspec.json.encode(mean))["trials"] == 160


@pytest.mark.parametrize(
    ("rival", "condition", "floor"),
    [
        ("Resemblyzer 0.1.4", "opus", 0.5),
        ("Resemblyzer 0.1.4", "hiss", None),
        ("campplus 9", "telephone", 1.0),
        ("campplus 9", "noise", None),
    ],
)
def test_a_floor_is_told_where_one_was_asked(
    rival: str, condition: str, floor: float | None
) -> None:
    cells = [cell("a", condition, 0.1, [0.1])]
    assert [line.floor for line in compared(rival, cells, cells)] == [floor, floor]


def test_lists_without_both_kinds_have_no_line_and_a_calibrated_rival_is_scored_so() -> None:
    theirs = [cell("a", "clean", 0.10, [0.1], calibrated=0.08), cell("b", "clean", 0.0, [0.0])]
    empty = Scored(np.empty(0), False, {}, {})
    theirs.append(Cell("c", 2.0, "clean", 0, 0, np.empty(0, bool), 0, empty, empty))
    result = compared("ours 2026.11.5", theirs, theirs)
    assert [line.list for line in result] == ["a", "b", "mean"]
    assert result[0].theirs.value == 0.08
    assert result[-1].floor is None
    assert as_markdown(result, ["R"], {}).count("| - |") == 3


def test_systems_on_different_trials_are_not_compared() -> None:
    ours = cell("a", "clean", 0.1, [0.1])
    ours.target[0] = False
    with pytest.raises(AssertionError, match="different trials"):
        compared("R", [cell("a", "clean", 0.1, [0.1])], [ours])


def test_every_rival_has_a_row_with_its_own_floor_and_doubtful_lists_are_in_no_mean() -> None:
    good, doubtful = cell("a", "clean", 0.10, [0.1]), cell("b", "clean", 0.50, [0.5])
    doubtful = replace(doubtful, reliable=False)
    found = [
        line
        for name in ("Resemblyzer 0.1.4", "campplus 1")
        for line in compared(name, [good, doubtful], [good, doubtful])
    ]
    assert [(line.list, line.rival, line.floor) for line in found] == [
        *(("a", "Resemblyzer 0.1.4", 0.6), ("b", "Resemblyzer 0.1.4", 0.6)),
        *(("mean", "Resemblyzer 0.1.4", 0.6), ("a", "campplus 1", 1.5)),
        *(("b", "campplus 1", 1.5), ("mean", "campplus 1", 1.5)),
    ]
    assert found[2].theirs.value == 0.10
    page = as_markdown(found, ["ours"], {})
    assert page.count("| campplus 1 |") == page.count("| Resemblyzer 0.1.4 |") == 3
