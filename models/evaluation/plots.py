"""DET curves and score distributions of an evaluation, as PNG.

Trials of several lists are drawn together with every list counting the same, so that the
longest list does not decide the picture. Only matplotlib's objects are used, no global state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import ndtri

from models.evaluation.scoring import Cell
from models.metrics import det_curve

COLOURS = ("#1b6ca8", "#d1495b", "#2e933c", "#8e5ea2", "#d98324", "#4a4a4a")
RATES = (
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.4,
)  # marks on the axes
DPI = 110  # of the pictures
BINS = 60  # of a histogram of scores

Float64 = NDArray[np.float64]


def det(cells: Sequence[Cell], path: Path, *, title: str) -> None:
    """Two DET plots: durations in the first condition, conditions at the longest duration."""
    figure = Figure(figsize=(11, 5.4), layout="constrained")
    figure.suptitle(f"{title}: detection error trade-off")
    first, longest = (cells[0].condition, max(c.duration_s for c in cells)) if cells else ("", 0)
    panels = figure.subplots(1, 2)
    _det_panel(
        panels[0],
        [cell for cell in cells if cell.condition == first],
        lambda cell: _duration(cell.duration_s),
        f"by net speech, {first}",
    )
    _det_panel(
        panels[1],
        [cell for cell in cells if cell.duration_s == longest],
        lambda cell: cell.condition,
        f"by condition, {_duration(longest)}",
    )
    _save(figure, path)


def score_distributions(cells: Sequence[Cell], path: Path, *, title: str) -> None:
    """Densities of target and non-target scores at each duration, in the first condition."""
    chosen = [cell for cell in cells if cell.condition == cells[0].condition]
    durations = sorted({cell.duration_s for cell in chosen})
    figure = Figure(figsize=(9, 1 + 1.8 * max(1, len(durations))), layout="constrained")
    condition = chosen[0].condition if chosen else ""
    figure.suptitle(f"{title}: scores, {condition}")
    panels = figure.subplots(max(1, len(durations)), 1, sharex=True, squeeze=False)[:, 0]
    for axes, duration_s in zip(panels, durations, strict=False):
        _density_panel(axes, [cell for cell in chosen if cell.duration_s == duration_s])
        axes.set_ylabel(_duration(duration_s))
    is_llr = any(cell.calibrated.is_llr for cell in chosen)
    panels[-1].set_xlabel("log-likelihood ratio (nats)" if is_llr else "score")
    _save(figure, path)


def _det_panel(axes: Any, cells: Sequence[Cell], label: Callable[[Cell], str], title: str) -> None:
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(label(cell), []).append(cell)
    axes.plot(ndtri(RATES), ndtri(RATES), color="0.85", linewidth=1, zorder=1)
    for i, (name, group) in enumerate(groups.items()):
        scores, target, weights = _together(group)
        if not len(scores):
            continue
        rates = det_curve(scores, target, weights)
        miss, false_alarm = rates.miss[0], rates.false_alarm[0]
        inside = (miss > 0) & (false_alarm > 0) & (miss < 1) & (false_alarm < 1)
        axes.plot(
            ndtri(false_alarm[inside]),
            ndtri(miss[inside]),
            color=COLOURS[i % len(COLOURS)],
            linewidth=1.6,
            label=name,
        )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ndtri(RATES), labels=[f"{100 * rate:g}" for rate in RATES])
    axes.set(
        xlim=ndtri([RATES[0], RATES[-1]]),
        ylim=ndtri([RATES[0], RATES[-1]]),
        xlabel="false alarms, %",
        ylabel="misses, %",
        title=title,
    )
    axes.grid(color="0.92")
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False)


def _density_panel(axes: Any, cells: Sequence[Cell]) -> None:
    scores, target, weights = _together(cells)
    if not len(scores):
        return
    # Ends that scores of either kind have: the few of one must not all lie outside.
    ends = [
        np.quantile(scores[target == kind], [0.001, 0.999], method="inverted_cdf")
        for kind in (True, False)
    ]
    low, high = np.min(ends), np.max(ends)
    for kind, name, colour in ((True, "one speaker", COLOURS[0]), (False, "two", COLOURS[1])):
        axes.hist(
            scores[target == kind],
            bins=BINS,
            range=(low, high),  # one score alone has a range of 1 around it
            weights=weights[target == kind],
            density=True,
            histtype="stepfilled",
            alpha=0.45,
            color=colour,
            edgecolor=colour,
            label=name,
        )
    if any(cell.calibrated.is_llr for cell in cells):
        axes.axvline(0, color="0.4", linewidth=0.8, linestyle=":")
    axes.set_yticks([])
    axes.legend(frameon=False, loc="upper right")


def _together(cells: Sequence[Cell]) -> tuple[Float64, NDArray[np.bool_], Float64]:
    """Calibrated scores of the lists that have both kinds of trial, each list and kind at 1."""
    usable = [cell for cell in cells if cell.calibrated.figures]
    if not usable:
        return np.empty(0), np.empty(0, bool), np.empty(0)
    weights = [
        np.where(cell.target, 1 / cell.target.sum(), 1 / (~cell.target).sum()) for cell in usable
    ]
    return (
        np.concatenate([cell.calibrated.scores for cell in usable]),
        np.concatenate([cell.target for cell in usable]),
        np.concatenate(weights),
    )


def _duration(duration_s: float) -> str:
    return "full" if math.isinf(duration_s) else f"{duration_s:g} s"


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=DPI, facecolor="white")
