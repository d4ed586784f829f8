"""An evaluation on paper: the records of a report, as JSON and as tables.

Rates and costs are fractions in JSON; tables show EER in per cent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.evaluation import plots
from models.evaluation.scoring import (
    MEAN_TARGETS,
    Cell,
    Figures,
    Resampled,
    in_mean,
    mean,
    pooled_min_cllr,
)
from models.metrics import interval

MEAN = "mean"
TITLES = {
    "eer": "EER %",
    "min_dcf_05": "minDCF .05",
    "min_dcf_01": "minDCF .01",
    "act_dcf_05": "actDCF .05",
    "act_dcf_01": "actDCF .01",
    "cllr": "Cllr",
    "min_cllr": "minCllr",
}
POOLED = {"pooled_min_cllr": "minCllr of all"}  # of means only
THRESHOLDS = np.arange(-6.0, 10.25, 0.25)  # LLRs that error rates are told for
METHOD_NOTES = (
    "EER: crossing of the interpolated error rates. Costs: miss and false alarm 1, normalised."
    " Cllr in bits. In brackets: 95 % interval, bootstrap over speakers; none where every"
    " draw of speakers gives the same figure: there are too few of them to tell.",
    "Enrolment: all net speech of a file, clean. Test: the first seconds of net speech, cut"
    " before they are degraded.",
    f"Means: over the reliable lists with at least {MEAN_TARGETS} target trials left. minCllr of"
    " all: of their trials together, every list weighing alike.",
)


class Estimate(msgspec.Struct, frozen=True):
    """A metric with its 95 % interval; NaN is null in JSON."""

    value: float
    low: float
    high: float


class OperatingPoint(msgspec.Struct, frozen=True, array_like=True):
    """What accepting from an LLR on costs: shares of non-targets taken, of targets turned away."""

    llr: float
    false_accept: float
    false_reject: float


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One list, duration and condition; in a mean, the sums and averages over ``lists`` lists.

    ``duration_s`` is None for all the net speech. ``cosine`` has the metrics of the raw
    cosine, ``calibrated`` those of the LLR (of the normalised score, where a bundle is not
    calibrated); both are empty without target and non-target trials. ``short`` trials lack
    net speech for the duration, ``unusable`` ones have a side that could not be embedded.
    A mean has its ``operating_points`` too, where the system gives LLRs.
    """

    list: str
    lists: int = 1
    duration_s: float | None
    condition: str
    trials: int
    targets: int
    speakers: int
    short: int
    unusable: int
    cosine: dict[str, Estimate]
    calibrated: dict[str, Estimate]
    operating_points: tuple[OperatingPoint, ...] = ()


class EvaluationReport(msgspec.Struct, frozen=True, kw_only=True):
    """All rows and their means over the lists, with what made them.

    ``left_out`` has a line for each recording that could not be used, with the reason.
    """

    system: str
    model: dict[str, Any]
    settings: dict[str, Any]
    lists: list[dict[str, Any]]
    notes: list[str]
    rows: list[Row]
    means: list[Row]
    left_out: list[str] = []


def row(cell: Cell) -> Row:
    """A cell's figures and counts."""
    return Row(
        list=cell.list,
        duration_s=_json_duration(cell.duration_s),
        condition=cell.condition,
        trials=len(cell.target),
        targets=int(cell.target.sum()),
        speakers=cell.speakers,
        short=cell.short,
        unusable=cell.unusable,
        cosine=with_intervals(cell.cosine.figures, cell.cosine.resampled),
        calibrated=with_intervals(cell.calibrated.figures, cell.calibrated.resampled),
    )


def mean_rows(cells: Sequence[Cell]) -> list[Row]:
    """For each duration and condition, the average over the lists that have trials for it."""
    groups: dict[tuple[float, str], list[Cell]] = {}
    for cell in filter(in_mean, cells):
        groups.setdefault((cell.duration_s, cell.condition), []).append(cell)
    return [_mean_row(group) for group in groups.values()]


def operating_points(group: Sequence[Cell]) -> tuple[OperatingPoint, ...]:
    """Error rates by threshold, averaged over the lists; none for scores that are no LLRs."""
    if not all(cell.calibrated.is_llr for cell in group):
        return ()
    accepted = np.mean([[_taken(c, ~c.target, x) for x in THRESHOLDS] for c in group], axis=0)
    found = np.mean([[_taken(c, c.target, x) for x in THRESHOLDS] for c in group], axis=0)
    return tuple(
        OperatingPoint(float(x), round(float(a), 5), round(1 - float(f), 5))
        for x, a, f in zip(THRESHOLDS, accepted, found, strict=True)
    )


def _taken(cell: Cell, kind: NDArray[np.bool_], threshold: float) -> float:
    return float(np.mean(cell.calibrated.scores[kind] >= threshold))


def _mean_row(group: list[Cell]) -> Row:
    counts = {
        "trials": sum(len(cell.target) for cell in group),
        "targets": sum(int(cell.target.sum()) for cell in group),
        **{n: sum(getattr(cell, n) for cell in group) for n in ("speakers", "short", "unusable")},
    }
    figures, resampled = mean(cell.calibrated for cell in group)
    if figures:
        targets = [cell.target for cell in group]
        figures["pooled_min_cllr"] = pooled_min_cllr([c.calibrated for c in group], targets)
    return Row(
        list=MEAN,
        lists=len(group),
        duration_s=_json_duration(group[0].duration_s),
        condition=group[0].condition,
        cosine=with_intervals(*mean(cell.cosine for cell in group)),
        calibrated=with_intervals(figures, resampled),
        operating_points=operating_points(group),
        **counts,
    )


def with_intervals(figures: Figures, resampled: Resampled) -> dict[str, Estimate]:
    """Metrics by name, with the intervals of their bootstrap values.

    NaN without any, and where all agree: an error rate of 0 on a handful of speakers is 0 in
    every draw of them, which says nothing of what other speakers would give.
    """
    none = np.empty(0)
    return {n: Estimate(value, *_spread(resampled.get(n, none))) for n, value in figures.items()}


def _spread(resampled: NDArray[np.float64]) -> tuple[float, float]:
    low, high = interval(resampled)
    return (low, high) if low < high else (math.nan, math.nan)


def _json_duration(duration_s: float) -> float | None:
    return None if math.isinf(duration_s) else duration_s


def write(report: EvaluationReport, cells: Sequence[Cell], folder: Path) -> None:
    """Write ``report.json``, ``report.md``, ``det.png`` and ``scores.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    encoded = msgspec.json.format(msgspec.json.encode(report), indent=1)
    (folder / "report.json").write_bytes(encoded + b"\n")
    (folder / "report.md").write_text(as_markdown(report), encoding="utf-8")
    plots.det(cells, folder / "det.png", title=report.system)
    plots.score_distributions(cells, folder / "scores.png", title=report.system)


def as_markdown(report: EvaluationReport) -> str:
    """The report as a page of tables."""
    lines = [f"# Evaluation of {report.system}", ""]
    lines += [f"- {name}: {value}" for name, value in {**report.model, **report.settings}.items()]
    heads = ("list", "trials", "targets", "speakers", "files", "net speech h", "in the means")
    lines += ["", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(str(value) for value in one.values())} |" for one in report.lists]
    lines += ["", *(f"- {note}" for note in report.notes)]
    for name in dict.fromkeys(row.list for row in report.rows):
        rows = [row for row in report.rows if row.list == name]
        lines += ["", f"## {name}", "", *_table(rows, counts=True)]
    if report.means:
        lines += ["", "## Mean over the lists", "", *_table(report.means, counts=False)]
    return "\n".join(lines) + "\n"


def _table(rows: Iterable[Row], *, counts: bool) -> list[str]:
    heads = ["net speech", "condition"]
    heads += ["trials", "targets", "speakers", "left out"] if counts else ["lists"]
    titles = TITLES if counts else TITLES | POOLED
    heads += ["EER % of raw cosine", *titles.values()]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for one in rows:
        numbers = [one.trials, one.targets, one.speakers, one.short + one.unusable]
        cells = [duration_name(one.duration_s), one.condition]
        cells += [str(number) for number in (numbers if counts else [one.lists])]
        cells.append(shown("eer", one.cosine.get("eer")))
        cells += [shown(name, one.calibrated.get(name)) for name in titles]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def duration_name(duration_s: float | None) -> str:
    """``2 s``, or ``full`` for all the net speech."""
    return "full" if duration_s is None or math.isinf(duration_s) else f"{duration_s:g} s"


def shown(name: str, figure: Estimate | None) -> str:
    """A figure with its interval, EER in per cent; a dash where there is none."""
    if figure is None or math.isnan(figure.value):
        return "-"
    scale, digits = (100, 1) if name == "eer" else (1, 3)
    value, low, high = (f"{scale * x:.{digits}f}" for x in (figure.value, figure.low, figure.high))
    return value if math.isnan(figure.low) else f"{value} ({low}-{high})"
