from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.benchmark.curves import Curve, Point
from models.benchmark.report import BenchmarkReport, as_markdown, table_lines, write
from models.benchmark.tables import Table
from models.evaluation.report import Estimate

INF, NAN = math.inf, math.nan
TABLE = Table("delays", "Delays", "In seconds.", [{"who": "anna", "n": 3}])
CURVE = Curve("ours", (Point(1.0, 0.5, 2.0, 4.0, 0.1, {}),))


@pytest.fixture
def report() -> Callable[..., BenchmarkReport]:
    def make(**changed: Any) -> BenchmarkReport:
        values: dict[str, Any] = {
            "system": "tiny 1",
            "model": {"sha256": "abc"},
            "settings": {"seed": 7},
            "speakers": {"of them": 12},
            "notes": ["read speech"],
            "tables": [TABLE],
            "curves": [],
            "cosine_threshold": 0.5,
        }
        return BenchmarkReport(**(values | changed))

    return make


def cell(value: str | int | Estimate) -> str:
    *_, line = table_lines(Table("x", "X", "", [{"only": value}]))
    return line.strip("| ")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("anna", "anna"),
        (56, "56"),
        (Estimate(2.345, 1.0, 12.34), "2.35 [1.00, 12.3]"),
        (Estimate(0.0, 0.0, INF), "0.00 [0.00, inf]"),
        (Estimate(INF, 2.0, INF), "inf [2.00, inf]"),
        (Estimate(2.0, NAN, NAN), "2.00"),  # of so few that there is no interval
        (Estimate(9.994, 9.0, 10.0), "9.99 [9.00, 10.0]"),  # three digits, more or less
        (Estimate(-10.0, -INF, -1.0), "-10.0 [-, -1.00]"),
        (Estimate(NAN, NAN, NAN), "-"),
    ],
)
def test_a_cell_says_its_figure_with_its_interval(value: str | int | Estimate, said: str) -> None:
    assert cell(value) == said


def test_rows_with_other_columns_stand_in_one_table() -> None:
    rows: list[Any] = [{"who": "anna", "n": 3}, {"who": "bert", "late": 1}]
    assert table_lines(Table("x", "Title", "How to read it.", rows)) == [
        *("## Title", "", "How to read it.", ""),
        "| who | n | late |",
        "|---|---|---|",
        "| anna | 3 |  |",
        "| bert |  | 1 |",
    ]


def test_a_table_of_nothing_says_so() -> None:
    assert table_lines(Table("x", "Title", "Note."))[-1] == "No conversation for this table."


def test_the_page_names_what_made_it(report: Callable[..., BenchmarkReport]) -> None:
    page = as_markdown(report())
    assert page.startswith("# tiny 1: streaming benchmark\n")
    for line in ("- sha256: abc", "- seed: 7", "- of them: 12", "- read speech", "## Delays"):
        assert f"\n{line}\n" in page


def test_json_has_null_for_what_it_has_no_number_for(
    report: Callable[..., BenchmarkReport], tmp_path: Path
) -> None:
    rows: list[Any] = [{"delay": Estimate(INF, 2.0, INF), "share": Estimate(NAN, NAN, NAN)}]
    write(report(tables=[Table("x", "X", "", rows)]), {}, tmp_path / "new" / "place", "other")
    kept = json.loads((tmp_path / "new" / "place" / "other.json").read_text())
    (row,) = kept["tables"][0]["rows"]
    assert row["delay"] == {"value": None, "low": 2.0, "high": None}
    assert row["share"] == {"value": None, "low": None, "high": None}
    assert kept["cosine_threshold"] == 0.5


def test_plots_are_drawn_of_what_there_is(
    report: Callable[..., BenchmarkReport], tmp_path: Path
) -> None:
    times = {"accepted": {"ours": [2.0, INF]}}
    for name, curves, measured_s in (("a", [], {}), ("b", [CURVE], {}), ("c", [], times)):
        write(report(curves=curves), measured_s, tmp_path / name)
    drawn = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*.png")}
    assert drawn == {"b/takeover.png", "c/times.png"}
