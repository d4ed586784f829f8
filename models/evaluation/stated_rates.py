"""What stated error rates come to: decisions by a bundle's evidence, at the engine's own bounds.

The evidence for a claim is ``slope llr + offset`` of the bundle's decision figures; it is accepted
and rejected at the bounds of :class:`engine.decisions.config.DecisionConfig`. A stream looks many
times; here each trial is looked at once, with all of its speech.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from engine.decisions.config import DecisionConfig
from engine.model.manifest import DecisionFigures
from models.evaluation.embeddings import Float64
from models.evaluation.report import Estimate, duration_name
from models.evaluation.scoring import Cell
from models.metrics import draw_speakers, interval

# Stated false accepts and misses.
STATED = ((0.05, 0.05), (0.01, 0.05), (0.002, 0.02))


class StatedRate(msgspec.Struct, frozen=True, kw_only=True):
    """What was stated and what was measured in one cell; shares, with 95 % intervals."""

    list: str
    duration_s: float | None
    condition: str
    reliable: bool
    targets: int
    nontargets: int
    stated_false_accept: float
    stated_miss: float
    false_accept: Estimate
    undecided: Estimate
    rejected: Estimate


def stated_rates(
    cells: Sequence[Cell], figures: DecisionFigures, *, resamples: int, seed: int
) -> list[StatedRate]:
    """A row for each cell with ratios of both kinds of trial, and each stated pair of rates."""
    usable = [cell for cell in cells if cell.calibrated.is_llr and cell.calibrated.figures]
    return [
        _rate(cell, figures.evidence(cell.calibrated.scores), stated, draws)
        for cell in usable
        for draws in [_draws(cell, resamples, seed)]
        for stated in STATED
    ]


def _draws(cell: Cell, resamples: int, seed: int) -> Float64:
    """How often each trial counts in each resample ``(R, P)``, as in ``metrics.bootstrap``."""
    _, numbered = np.unique(cell.sides, return_inverse=True)
    left, right = numbered.reshape(cell.sides.shape).T
    drawn = draw_speakers(int(numbered.max()) + 1, resamples, seed)
    return np.where(cell.target, drawn[:, left], drawn[:, left] * drawn[:, right])


def _rate(cell: Cell, evidence: Float64, stated: tuple[float, float], draws: Float64) -> StatedRate:
    config = DecisionConfig(false_accept=stated[0], miss=stated[1])
    accepted, rejected = evidence >= config.accept_llr, evidence <= config.reject_llr

    def share(of: Float64, among: Float64) -> Estimate:
        counted = draws @ among
        resampled = (draws @ (of * among))[counted > 0] / counted[counted > 0]
        return Estimate(float(of @ among / among.sum()), *interval(resampled))

    target = cell.target.astype(np.float64)
    return StatedRate(
        list=cell.list,
        duration_s=None if np.isinf(cell.duration_s) else cell.duration_s,
        condition=cell.condition,
        reliable=cell.reliable,
        targets=int(target.sum()),
        nontargets=int((1 - target).sum()),
        stated_false_accept=stated[0],
        stated_miss=stated[1],
        false_accept=share(accepted.astype(np.float64), 1 - target),
        undecided=share((~accepted & ~rejected).astype(np.float64), target),
        rejected=share(rejected.astype(np.float64), target),
    )


def as_table(rates: Sequence[StatedRate]) -> list[str]:
    """The rows as a Markdown table, per cent with intervals."""
    lines = [
        "| list | net speech | condition | targets | non-targets | stated false accepts / misses"
        " | false accepts % | right speakers undecided % | rejected % |",
        "|" + "---|" * 9,
    ]
    for one in rates:
        stated = f"{100 * one.stated_false_accept:g} % / {100 * one.stated_miss:g} %"
        cells = [one.list, duration_name(one.duration_s), one.condition, one.targets]
        measured = (one.false_accept, one.undecided, one.rejected)
        cells += [one.nontargets, stated, *map(_percent, measured)]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def _percent(share: Estimate) -> str:
    value, low, high = (f"{100 * x:.2g}" for x in (share.value, share.low, share.high))
    return f"{value} ({low}-{high})"
