"""Plots of a benchmark: takeover delay against false alarms, and how long decisions take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from models.benchmark.curves import Curve
from models.evaluation.plots import COLOURS, DPI

# For "accepted" and "rejected": each system's seconds of net speech, infinite where never.
Times = Mapping[str, Mapping[str, Sequence[float]]]
FEWEST_ALARMS_H = 0.2  # no false alarm at all is drawn here
LONGEST_S = 15.0


def takeover_curves(curves: Sequence[Curve], path: Path) -> None:
    """Median and 95th percentile of the delay, and the share that is missed."""
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    figure.suptitle("Takeover by a stranger of similar pitch")
    panels = figure.subplots(1, 3)
    for axes, what, label in zip(
        panels,
        ("p50_s", "p95_s", "missed"),
        ("delay, median, s", "delay, 95th percentile, s", "missed, share"),
        strict=True,
    ):
        for i, curve in enumerate(curves):
            _curve(axes, curve, what, COLOURS[i % len(COLOURS)])
        axes.set_xscale("log")
        axes.set(xlabel="false alarms per hour of genuine speech", ylabel=label)
        axes.axvline(1.0, color="0.6", linewidth=0.8, linestyle=":")
        axes.grid(color="0.92")
        if what != "missed":
            axes.set_ylim(0, LONGEST_S)
    panels[0].legend(frameon=False)
    _save(figure, path)


def _curve(axes: Any, curve: Curve, what: str, colour: str) -> None:
    """The best that can be had up to each number of false alarms: a staircase."""
    alarms = np.array([max(p.false_alarms_h, FEWEST_ALARMS_H) for p in curve.points])
    values = np.array([getattr(p, what) for p in curve.points])
    known = np.isfinite(alarms) & ~np.isnan(values)
    if not known.any():
        return
    best = np.minimum.accumulate(values[known])
    drawn = np.where(np.isfinite(best), best, np.nan)
    axes.step(alarms[known], drawn, where="post", color=colour, label=curve.system)
    axes.plot(alarms[known], values[known], ".", color=colour, markersize=3, alpha=0.5)


def decision_times(times: Times, path: Path) -> None:
    """Share of the streams that are decided by so much net speech."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    figure.suptitle("Time to the first decision, where it is right")
    panels = figure.subplots(1, max(1, len(times)), squeeze=False)[0]
    for axes, (what, systems) in zip(panels, times.items(), strict=False):
        for i, (system, seconds) in enumerate(systems.items()):
            decided = np.sort([s for s in seconds if np.isfinite(s)])
            share = np.arange(1, len(decided) + 1) / max(1, len(seconds))
            colour = COLOURS[i % len(COLOURS)]
            axes.step(np.append(0, decided), np.append(0, share), where="post", color=colour)
            axes.plot([], [], color=colour, label=f"{system} ({len(seconds)})")
        axes.set(xlim=(0, LONGEST_S), ylim=(0, 1.02), title=what)
        axes.set(xlabel="net speech, s", ylabel="share of streams")
        axes.grid(color="0.92")
        axes.legend(frameon=False, loc="lower right")
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=DPI, facecolor="white")
