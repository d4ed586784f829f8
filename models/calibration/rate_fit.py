"""Fits how evidence is read off ratios, so that stated false accepts are what is measured.

A ratio that is right is accepted far too seldom by bounds such as ``log((1 - miss) /
false_accept)``: they hold the rate as a bound, and where voices are easy to tell apart strangers
reach it ten times less often than was asked for, at the cost of right speakers who stay
undecided. So the evidence is ``slope llr + offset``, by the line through the ratios that 5, 1 and
0.2 % of the strangers reach and the bounds that these rates have. On held-out speakers with
labels that can be believed those ratios are much the same for every source, duration and
condition: cohort normalisation sees to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.decisions.config import DecisionConfig

STATED = ((0.05, 0.05), (0.01, 0.05), (0.002, 0.02))  # false accepts and misses

Float64 = NDArray[np.float64]
Bools = NDArray[np.bool_]


def fit_bounds(llr: Float64, weight: Float64) -> tuple[float, float]:
    """``slope`` and ``offset`` from the ratios ``(N,)`` of strangers and what each counts for."""
    order = np.argsort(llr)
    below = np.cumsum(weight[order]) / weight.sum()
    reached = [llr[order][np.searchsorted(below, 1 - rate)] for rate, _ in STATED]
    bounds = [DecisionConfig(rate, miss).accept_llr for rate, miss in STATED]
    slope, offset = np.polyfit(reached, bounds, 1)
    return float(slope), float(offset)


def enrolment_worth_s(enrol_s: Float64, half_speech_s: float) -> float:
    """The enrolment in seconds that is worth as much as those of trials ``(N,)`` in the mean."""
    worth = float(np.mean(1 / (1 + half_speech_s / enrol_s)))
    return half_speech_s * worth / (1 - worth)


def decided(evidence: Float64, target: Bools) -> list[dict[str, Any]]:
    """Shares of strangers accepted, and of right speakers undecided and rejected, as stated."""
    table = []
    for rate, miss in STATED:
        config = DecisionConfig(rate, miss)
        accepted, rejected = evidence >= config.accept_llr, evidence <= config.reject_llr
        table.append(
            {
                "false_accept": rate,
                "miss": miss,
                "targets": int(target.sum()),
                "nontargets": int((~target).sum()),
                "false_accepts": round(float(accepted[~target].mean()), 4),
                "undecided": round(float((~accepted & ~rejected)[target].mean()), 4),
                "rejected": round(float(rejected[target].mean()), 4),
            }
        )
    return table
