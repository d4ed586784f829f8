"""Takeover delay against false alarms: what each system could do at any of its thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.decisions.config import DecisionConfig
from models.benchmark.estimates import Draws
from models.benchmark.outcomes import NO, States, by_threshold
from models.benchmark.plans import Kind
from models.benchmark.results import ConversationResult, Variant
from models.benchmark.rivals import RunningScore
from models.benchmark.tables import (
    CLEAN_GENUINE,
    LEAVING,
    Cells,
    System,
    Table,
    follow_all,
    takeover_cells,
)
from models.evaluation.report import Estimate

THRESHOLDS = 60  # of a running score
FALSE_ALARMS_H = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)  # rows of the table
DECIDE_S = 1.5  # a running cosine over less speech is not looked at
CURVE_KINDS: frozenset[Kind] = frozenset(CLEAN_GENUINE)

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Point:
    """A system at one threshold: takeovers by a stranger of similar pitch, clean."""

    threshold: float
    false_alarms_h: float
    p50_s: float
    p95_s: float
    missed: float
    cells: Cells

    def delays(self) -> tuple[float, float]:
        """Median and 95th percentile; infinite where no takeover found an accepted claim."""
        if math.isnan(self.p50_s):
            return math.inf, math.inf
        return self.p50_s, self.p95_s


@dataclass(frozen=True, slots=True)
class Curve:
    """A system at its thresholds, from the fewest false alarms to the most."""

    system: str
    points: tuple[Point, ...]

    def at(self, false_alarms_h: float) -> Point | None:
        """The threshold of the least median delay with no more false alarms than these."""
        allowed = [point for point in self.points if point.false_alarms_h <= false_alarms_h]
        return min(allowed, key=Point.delays, default=None)


# Budgets of false alarms per hour that the engine is asked to keep.
SWEEP: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


def sweep_variants() -> list[Variant]:
    """The engine's decisions at other budgets of false alarms."""
    return [
        Variant(_name(budget), DecisionConfig(false_alarms_per_hour=budget), CURVE_KINDS)
        for budget in SWEEP
    ]


def _name(value: float) -> str:
    return f"sweep {value:g}"


def engine_curve(results: Sequence[ConversationResult], name: str, draws: Draws) -> Curve:
    """The engine's own curve, from :func:`sweep_variants`."""
    points = []
    for value in SWEEP:

        def states(result: ConversationResult, variant: str = _name(value)) -> States | None:
            return result.variants.get(variant)

        points.append(_point(results, System(name, states, LEAVING), value, draws))
    return Curve(name, tuple(sorted(points, key=lambda point: point.false_alarms_h)))


def cosine_of(result: ConversationResult) -> RunningScore | None:
    """Our own running cosine with the voiceprint, where it has enough speech behind it."""
    heard = result.claimed
    if heard is None:
        return None
    enough = heard.window_s >= DECIDE_S
    return RunningScore(heard.t[enough], heard.cosine[enough])


def rival_of(name: str, result: ConversationResult) -> RunningScore | None:
    """A rival's running score."""
    return result.rivals.get(name)


def fixed(running: RunningScore | None, accept: float, reject: float) -> States | None:
    """States of a running score with fixed bounds."""
    return None if running is None else by_threshold(running.t, running.value, accept, reject)


def threshold_curve(
    results: Sequence[ConversationResult], name: str, running: dict[str, RunningScore], draws: Draws
) -> Curve:
    """The curve of a running score, by conversation, over all of its thresholds."""
    values = np.concatenate([one.value for one in running.values()] or [np.empty(0)])
    if not len(values):
        return Curve(name, ())
    # Few false alarms lie at the low end: thresholds crowd there.
    ranks = np.linspace(0, 1, THRESHOLDS) ** 3
    points = []
    for threshold in np.unique(np.quantile(values, ranks)).tolist():

        def states(result: ConversationResult, threshold: float = threshold) -> States | None:
            return fixed(running.get(result.truth.name), threshold, threshold)

        points.append(_point(results, System(name, states, NO), threshold, draws))
    return Curve(name, tuple(sorted(points, key=lambda point: point.false_alarms_h)))


def _point(
    results: Sequence[ConversationResult], system: System, threshold: float, draws: Draws
) -> Point:
    watched = follow_all(results, system)
    genuine = [(r, followed) for r, followed in watched if r.truth.kind in CLEAN_GENUINE]
    takeovers = [
        (r, followed)
        for r, followed in watched
        if r.truth.kind == "takeover" and r.truth.similar is True
    ]
    cells = takeover_cells(takeovers, genuine, draws)

    def value(column: str) -> float:
        figure = cells[column]
        assert isinstance(figure, Estimate)
        return figure.value

    return Point(
        threshold,
        value("false alarms /h"),
        value("delay p50 s"),
        value("delay p95 s"),
        value("missed %") / 100,
        cells,
    )


def curve_table(curves: Sequence[Curve]) -> Table:
    """What every system can do within a budget of false alarms."""
    table = Table(
        "curve",
        "Takeover delay against false alarms",
        "Takeovers by a stranger of similar pitch, clean. For each budget the threshold of the"
        " system with the least median delay among those that keep to it, found on these very"
        " conversations; `inf` is a takeover that was missed.",
    )
    for budget in FALSE_ALARMS_H:
        for curve in curves:
            point = curve.at(budget)
            row: Cells = {"false alarms /h, at most": f"{budget:g}", "system": curve.system}
            if point is not None:
                table.rows.append(row | {"threshold": f"{point.threshold:.3g}"} | point.cells)
    return table


def equal_error_threshold(results: Sequence[ConversationResult]) -> float | None:
    """The cosine at which as many windows of claimed speakers lie under it as of impostors over.

    A baseline's threshold is this figure of a run on *other* speakers.
    """
    own, others = (_cosines(results, kind) for kind in ("single", "impostor"))
    if not len(own) or not len(others):
        return None
    both = np.unique(np.concatenate([own, others]))
    miss = np.searchsorted(np.sort(own), both) / len(own)
    accept = 1 - np.searchsorted(np.sort(others), both) / len(others)
    return float(both[np.argmin(np.abs(miss - accept))])


def _cosines(results: Sequence[ConversationResult], kind: str) -> Float64:
    found = [cosine_of(result) for result in results if result.truth.kind == kind]
    return np.concatenate([np.empty(0), *(one.value for one in found if one is not None)])
