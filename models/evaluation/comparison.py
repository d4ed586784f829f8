"""A system and its rivals side by side, on the same trials: error rates and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.evaluation.embeddings import Float64
from models.evaluation.report import Estimate, duration_name, shown
from models.evaluation.scoring import Cell, Scored, in_mean
from models.metrics import interval

# The largest ratio of our EER to a rival's that is good enough, where something was asked.
FLOORS: dict[str, dict[str, float]] = {
    "Resemblyzer": {"clean": 0.6, "noise": 0.5, "reverb": 0.5, "telephone": 0.5, "opus": 0.5},
    "campplus": {"clean": 1.5, "reverb": 1.0, "telephone": 1.0},
}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One list (or the mean), duration, condition and rival: EER of both, and ours over theirs."""

    list: str
    lists: int
    duration_s: float | None
    condition: str
    trials: int
    targets: int
    speakers: int
    rival: str
    theirs: Estimate
    cosine: Estimate
    calibrated: Estimate
    ratio: Estimate
    floor: float | None


def compared(rival: str, theirs: Sequence[Cell], ours: Sequence[Cell]) -> list[Line]:
    """A line for every cell, then for the means over the reliable lists."""
    pairs = list(zip(theirs, ours, strict=True))
    for their, our in pairs:
        if not np.array_equal(their.target, our.target):
            raise AssertionError("the systems were scored on different trials")
    usable = [pair for pair in pairs if pair[0].cosine.figures]
    single = [_line(rival, their.list, [(their, our)]) for their, our in usable]
    groups: dict[tuple[float, str], list[tuple[Cell, Cell]]] = {}
    for pair in usable:
        if in_mean(pair[0]):
            groups.setdefault((pair[0].duration_s, pair[0].condition), []).append(pair)
    return single + [_line(rival, "mean", group) for group in groups.values()]


def _line(rival: str, name: str, group: Sequence[tuple[Cell, Cell]]) -> Line:
    cells, our_cells = [their for their, _ in group], [our for _, our in group]
    first = cells[0]
    theirs = _mean_eer([cell.calibrated for cell in cells])
    ours = _mean_eer([cell.calibrated for cell in our_cells])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = float(np.float64(ours[0]) / theirs[0]), ours[1] / theirs[1]
    floors = next((f for known, f in FLOORS.items() if rival.startswith(known)), {})
    return Line(
        list=name,
        lists=len(group),
        duration_s=None if np.isinf(first.duration_s) else first.duration_s,
        condition=first.condition,
        trials=sum(len(cell.target) for cell in cells),
        targets=sum(int(cell.target.sum()) for cell in cells),
        speakers=sum(cell.speakers for cell in cells),
        rival=rival,
        theirs=_figure(*theirs),
        cosine=_figure(*_mean_eer([cell.cosine for cell in our_cells])),
        calibrated=_figure(*ours),
        ratio=_figure(*ratio),
        floor=floors.get(first.condition),
    )


def _mean_eer(scored: Sequence[Scored]) -> tuple[float, Float64]:
    value = float(np.mean([one.figures["eer"] for one in scored]))
    none: NDArray[np.float64] = np.empty(0)
    return value, np.mean([one.resampled.get("eer", none) for one in scored], axis=0)


def _figure(value: float, resampled: Float64) -> Estimate:
    return Estimate(value, *interval(resampled))


def as_markdown(all_lines: Sequence[Line], names: Sequence[str], about: dict[str, Any]) -> str:
    """The comparison as a page of tables: a table for each list, then one of the means."""
    page = [f"# {' and '.join(names)}", ""]
    page += [f"- {name}: {value}" for name, value in about.items()]
    page += [
        "- EER in per cent, with 95 % intervals (bootstrap over speakers); the ratio is our"
        " calibrated score's EER over the rival's, resampled in pairs. A rival that is not"
        " calibrated is scored by its cosine.",
        "- All systems get the same net-speech segments; enrolment is all net speech, clean.",
    ]
    names_of_lists = dict.fromkeys(line.list for line in all_lines if line.list != "mean")
    for name in (*names_of_lists, "mean"):
        chosen = [line for line in all_lines if line.list == name]
        if not chosen:
            continue
        chosen.sort(key=lambda line: (line.duration_s or np.inf, line.condition))
        page += ["", f"## {'Mean over the lists' if name == 'mean' else name}", ""]
        page.append(
            "| net speech | condition | lists | targets | trials | rival | its EER | ours, cosine |"
            " ours, calibrated | ratio | floor |"
        )
        page.append("|---|---|---|---|---|---|---|---|---|---|---|")
        page += [_row(line) for line in chosen]
    return "\n".join(page) + "\n"


def _row(line: Line) -> str:
    reached = "-"
    if line.floor is not None:
        verdict = "reached" if line.ratio.value <= line.floor else "missed"
        reached = f"{line.floor:g}: {verdict}"
    cells = [
        duration_name(line.duration_s),
        line.condition,
        line.lists,
        line.targets,
        line.trials,
        line.rival,
        shown("eer", line.theirs),
        shown("eer", line.cosine),
        shown("eer", line.calibrated),
        shown("ratio", line.ratio),
        reached,
    ]
    return "| " + " | ".join(map(str, cells)) + " |"
