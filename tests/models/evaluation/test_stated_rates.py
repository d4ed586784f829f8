import numpy as np

from engine.decisions.config import DecisionConfig
from engine.model.manifest import DecisionFigures
from models.evaluation.scoring import Cell, Scored
from models.evaluation.stated_rates import STATED, as_table, stated_rates


def cell(llr, target, sides, *, is_llr=True):
    scored = Scored(np.array(llr, float), is_llr, {"eer": 0.1}, {})
    return Cell("a", 3.0, "clean", 0, 0, np.array(target), 4, scored, scored, True, np.array(sides))


SIDES = [[0, 0], [1, 1], [2, 2], [3, 3], [0, 1], [2, 3], [1, 2], [3, 0]]
TARGET = [True] * 4 + [False] * 4


def test_shares_follow_from_the_bounds_of_the_engine():
    bound = DecisionConfig(*STATED[1]).accept_llr
    llr = [bound + 1, bound + 1, 0.5, -9.0, bound + 0.1, -9.0, -9.0, -9.0]
    rows = stated_rates([cell(llr, TARGET, SIDES)], DecisionFigures(), resamples=50, seed=0)
    assert [row.stated_false_accept for row in rows] == [rate for rate, _ in STATED]
    at_one = rows[1]
    assert (at_one.targets, at_one.nontargets) == (4, 4)
    shares = (at_one.false_accept.value, at_one.undecided.value, at_one.rejected.value)
    assert shares == (0.25, 0.25, 0.25)
    assert 0 <= at_one.rejected.low < at_one.rejected.high <= 1
    assert "| 1 % / 5 % | 25 (" in as_table(rows)[3]


def test_the_bundle_says_how_ratios_are_read():
    figures = DecisionFigures(slope=2.0, offset=1.0)
    llr = [1.0, 9.0, 9.0, 9.0, -1.0, -9.0, -9.0, -9.0]
    rows = stated_rates([cell(llr, TARGET, SIDES)], figures, resamples=10, seed=0)
    assert rows[0].undecided.value == 0.0  # 2 * 1 + 1 is above 2.94
    assert rows[1].undecided.value == 0.25


def test_scores_that_are_no_ratios_have_no_rates():
    one = cell([0.0] * 8, TARGET, SIDES, is_llr=False)
    assert stated_rates([one], DecisionFigures(), resamples=10, seed=0) == []
