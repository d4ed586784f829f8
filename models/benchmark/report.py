"""A benchmark on paper: JSON, Markdown tables and plots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from models.benchmark import plots
from models.benchmark.curves import Curve
from models.benchmark.tables import Cells, Table
from models.evaluation.report import Estimate


class BenchmarkReport(msgspec.Struct, frozen=True, kw_only=True):
    """Tables and curves, with what made them. Infinities and NaN are null in JSON.

    ``cosine_threshold`` is the equal-error cosine of this run's windows: what a run on other
    speakers takes as the threshold of its baseline.
    """

    system: str
    model: dict[str, Any]
    settings: dict[str, Any]
    speakers: dict[str, Any]
    notes: list[str]
    tables: list[Table]
    curves: list[Curve]
    cosine_threshold: float | None


def write(
    report: BenchmarkReport, times: plots.Times, folder: Path, name: str = "benchmark"
) -> None:
    """Write ``NAME.json``, ``NAME.md`` and, where there is something to see, the plots."""
    folder.mkdir(parents=True, exist_ok=True)
    encoded = msgspec.json.format(msgspec.json.encode(report), indent=1)
    (folder / f"{name}.json").write_bytes(encoded + b"\n")
    (folder / f"{name}.md").write_text(as_markdown(report), encoding="utf-8")
    if report.curves:
        plots.takeover_curves(report.curves, folder / "takeover.png")
    if times:
        plots.decision_times(times, folder / "times.png")


def as_markdown(report: BenchmarkReport) -> str:
    """The report as a page of tables."""
    page = [f"# {report.system}: streaming benchmark", ""]
    for title, facts in (("", report.model), ("", report.settings), ("", report.speakers)):
        page += [f"- {title}{name}: {value}" for name, value in facts.items()]
    page += [f"- {note}" for note in report.notes]
    for table in report.tables:
        page += ["", *table_lines(table)]
    return "\n".join(page) + "\n"


def table_lines(table: Table) -> list[str]:
    """A table in Markdown; every row has all columns."""
    columns = list(dict.fromkeys(name for row in table.rows for name in row))
    lines = [f"## {table.title}", "", table.note, ""]
    if not table.rows:
        return [*lines, "No conversation for this table."]
    lines += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return lines + [_line(row, columns) for row in table.rows]


def _line(row: Cells, columns: Sequence[str]) -> str:
    return "| " + " | ".join(_cell(row.get(name, "")) for name in columns) + " |"


def _cell(value: str | int | Estimate) -> str:
    if not isinstance(value, Estimate):
        return str(value)
    if math.isnan(value.value):
        return "-"
    if math.isnan(value.low):
        return _number(value.value)
    return f"{_number(value.value)} [{_number(value.low)}, {_number(value.high)}]"


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "inf" if value > 0 else "-"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
