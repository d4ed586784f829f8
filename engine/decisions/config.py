"""What the user states: error rates, false alarms, and how much speech a decision needs."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DecisionConfig:
    """What the user states.

    By Wald's bounds a claim is accepted when its odds say ``(1 - miss) / false_accept``
    and rejected when they say ``miss / (1 - false_accept)``: the rates asked for, whenever
    the evidence is calibrated. ``false_alarms_per_hour`` is the budget of matches given up where
    the matched speaker goes on, by a takeover that is told or by doubt;
    ``false_changes_per_hour`` that of changes of voice where nobody is matched, of whom less is
    known, and that of turns that are judged in parts. Both count hours of speech.
    """

    false_accept: float = 0.01
    miss: float = 0.05
    decide_s: float = 1.5  # net speech under which no state but `insufficient` is given
    false_alarms_per_hour: float = 1.0
    false_changes_per_hour: float = 20.0

    def __post_init__(self) -> None:
        if not (0 < self.false_accept < 0.5 and 0 < self.miss < 0.5):
            raise ValueError("error rates lie strictly between 0 and 0.5")
        if not (self.false_alarms_per_hour > 0 and self.false_changes_per_hour > 0):
            raise ValueError("a budget of false alarms is more than none an hour")

    @property
    def accept_llr(self) -> float:
        """Bound above which a claim is accepted."""
        return wald_bounds(self.false_accept, self.miss)[0]

    @property
    def reject_llr(self) -> float:
        """Bound below which a claim is rejected."""
        return wald_bounds(self.false_accept, self.miss)[1]


def wald_bounds(false_accept: float, miss: float) -> tuple[float, float]:
    """The log odds above which a claim is accepted and those below which it is rejected.

    Both rates lie strictly between 0 and 1 and add up to 1 at most: the bounds would else cross.
    """
    return math.log((1 - miss) / false_accept), math.log(miss / (1 - false_accept))
