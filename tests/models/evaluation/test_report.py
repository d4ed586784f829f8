from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.evaluation import plots
from models.evaluation.report import (
    MEAN,
    THRESHOLDS,
    Estimate,
    EvaluationReport,
    as_markdown,
    duration_name,
    mean_rows,
    operating_points,
    row,
    shown,
    with_intervals,
    write,
)
from models.evaluation.scoring import Cell

Make = Callable[..., Cell]
TARGETS = np.linspace(-2, 6, 30)  # so many that a list counts in the mean
NONTARGETS = np.linspace(-6, 2, 50)


def report_of(*cells: Cell, **changed: Any) -> EvaluationReport:
    about = {"name": "a list", "trials": 8, "targets": 3, "speakers": 2, "files": 5, "hours": 0.5}
    values: dict[str, Any] = {
        "system": "spectral 1",
        "model": {"calibrated": True},
        "settings": {"noise": "pink"},
        "lists": [about],
        "notes": ["one note"],
        "rows": [row(one) for one in cells],
        "means": mean_rows(cells),
    }
    return EvaluationReport(**(values | changed))


def table_rows(page: str, title: str) -> list[dict[str, str]]:
    """The table under a heading, by its columns."""
    (section,) = (part for part in page.split("\n## ")[1:] if part.startswith(f"{title}\n"))
    lines = [line for line in section.splitlines() if line.startswith("|")]
    head, rule, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in lines)
    assert set(rule) == {"---"}
    return [dict(zip(head, one, strict=True)) for one in rows]


def test_a_row_has_the_counts_and_figures_of_its_cell(cell: Make) -> None:
    one = cell([2.0, -1.0], [1.0, -2.0, -3.0], short=4, unusable=5, speakers=6)
    made = row(one)
    assert (made.list, made.lists, made.duration_s, made.condition) == ("ours", 1, 1.0, "clean")
    assert (made.trials, made.targets, made.speakers) == (5, 2, 6)
    assert (made.short, made.unusable) == (4, 5)
    assert made.calibrated["cllr"].value == one.calibrated.figures["cllr"]
    assert "cllr" not in made.cosine
    assert row(cell([1.0], [0.0], duration_s=math.inf)).duration_s is None


def test_a_figure_that_no_draw_of_speakers_moves_has_no_interval() -> None:
    drawn = {"eer": np.zeros(200), "cllr": np.linspace(0.1, 0.3, 200)}
    figures = with_intervals({"eer": 0.0, "cllr": 0.2}, drawn)
    assert shown("eer", figures["eer"]) == "0.0"
    assert shown("cllr", figures["cllr"]) == "0.200 (0.105-0.295)"


def test_a_figure_without_draws_has_no_interval() -> None:
    figures = with_intervals({"eer": 0.1, "cllr": 0.2}, {"eer": np.full(9, np.nan)})
    assert [figure.value for figure in figures.values()] == [0.1, 0.2]
    assert all(math.isnan(figure.low) and math.isnan(figure.high) for figure in figures.values())


def test_figures_are_shown_with_the_digits_of_their_kind() -> None:
    figure = Estimate(0.12345, 0.1, 0.25)
    assert shown("eer", figure) == "12.3 (10.0-25.0)"
    assert shown("min_cllr", figure) == "0.123 (0.100-0.250)"
    assert shown("eer", Estimate(math.nan, 0.1, 0.2)) == shown("eer", None) == "-"


def test_durations_have_names() -> None:
    assert [duration_name(s) for s in (2.0, 2.5, None, math.inf)] == [
        "2 s",
        "2.5 s",
        "full",
        "full",
    ]


def test_lists_with_too_few_targets_are_in_no_mean(cell: Make) -> None:
    enough = cell(TARGETS, NONTARGETS, short=1)
    few = cell(TARGETS[:-1], NONTARGETS, list="few", short=2)
    one_kind = cell(TARGETS, [], list="odd", short=4)
    (mean,) = mean_rows([few, enough, one_kind])
    assert (mean.list, mean.lists, mean.trials, mean.short) == (MEAN, 1, 80, 1)
    assert mean.calibrated["eer"] == row(enough).calibrated["eer"]
    alone = enough.calibrated.figures["min_cllr"]
    assert mean.calibrated["pooled_min_cllr"].value == pytest.approx(alone)
    assert mean_rows([few, one_kind]) == mean_rows([]) == []


def test_a_mean_weighs_every_list_alike_and_adds_up_its_counts(cell: Make) -> None:
    drawn = {"eer": np.linspace(0.1, 0.2, 50)}
    one = cell(TARGETS, NONTARGETS, short=1, unusable=2, resampled=drawn)
    other = cell(
        np.tile(TARGETS - 3, 4), NONTARGETS, list="theirs", short=3, speakers=5, resampled=drawn
    )
    (mean,) = mean_rows([one, other])
    assert (mean.lists, mean.trials, mean.targets) == (2, 80 + 170, 30 + 120)
    assert (mean.speakers, mean.short, mean.unusable) == (7, 4, 2)
    for kind in ("cosine", "calibrated"):
        values = [getattr(c, kind).figures["eer"] for c in (one, other)]
        assert getattr(mean, kind)["eer"].value == pytest.approx(np.mean(values))
    assert mean.calibrated["eer"].low == pytest.approx(0.1025)
    assert not {"cllr", "pooled_min_cllr"} & set(mean.cosine)


def test_there_is_a_mean_for_each_duration_and_condition_in_their_order(cell: Make) -> None:
    places = [(2.0, "noise"), (math.inf, "clean"), (2.0, "clean")]
    cells = [
        cell(TARGETS, NONTARGETS, list=name, duration_s=duration_s, condition=condition)
        for name in ("one", "two")
        for duration_s, condition in places
    ]
    means = mean_rows(cells)
    expected = [(2.0, "noise"), (None, "clean"), (2.0, "clean")]
    assert [(mean.duration_s, mean.condition) for mean in means] == expected
    assert {mean.lists for mean in means} == {2}


def test_operating_points_are_the_error_rates_of_each_threshold(cell: Make) -> None:
    one, other = cell([2.0, 0.5, -1.0], [1.0, -2.0]), cell([3.0], [0.5, -0.25, -3.0, -4.0])
    points = operating_points([one, other])
    assert [point.llr for point in points] == THRESHOLDS.tolist()
    assert (points[0].false_accept, points[0].false_reject) == (1, 0)
    assert (points[-1].false_accept, points[-1].false_reject) == (0, 1)
    at = {point.llr: (point.false_accept, point.false_reject) for point in points}
    assert at[0.5] == ((1 / 2 + 1 / 4) / 2, round(1 / 3 / 2, 5))  # a score at the bound is taken
    assert at[0.75] == ((1 / 2 + 0) / 2, round(2 / 3 / 2, 5))


def test_scores_that_are_no_llrs_have_no_operating_points(cell: Make) -> None:
    ours, raw = cell(TARGETS, NONTARGETS), cell(TARGETS, NONTARGETS, is_llr=False)
    assert operating_points([ours, raw]) == ()
    (mean,) = mean_rows([ours, raw])
    assert mean.operating_points == ()
    assert "cllr" not in mean.calibrated  # which only one of them has


def test_what_is_written_is_read_again(
    cell: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures: dict[str, tuple[Any, str]] = {}

    def kept(cells: list[Cell], path: Path, *, title: str) -> None:
        pictures[path.name] = (cells, title)

    monkeypatch.setattr(plots, "det", kept)
    monkeypatch.setattr(plots, "score_distributions", kept)
    drawn = {"eer": np.linspace(0.1, 0.2, 50)}
    cells = [
        cell(TARGETS, NONTARGETS, resampled=drawn),
        cell([], [], list="none", duration_s=math.inf),
    ]
    report = report_of(*cells)
    write(report, cells, tmp_path / "new" / "folder")
    read = json.loads((tmp_path / "new" / "folder" / "report.json").read_bytes())
    assert [one["duration_s"] for one in read["rows"]] == [1.0, None]
    assert read["rows"][1]["calibrated"] == {}
    for kind in ("rows", "means"):
        for one, again in zip(getattr(report, kind), read[kind], strict=True):
            for name, figure in one.calibrated.items():
                known = (None if math.isnan(x) else x for x in (figure.low, figure.high))
                assert tuple(again["calibrated"][name].values()) == (figure.value, *known)
    first = report.means[0].operating_points[0]
    assert read["means"][0]["operating_points"][0] == [first.llr, 1, 0]
    page = (tmp_path / "new" / "folder" / "report.md").read_text(encoding="utf-8")
    assert page == as_markdown(report)
    assert pictures == {name: (cells, "spectral 1") for name in ("det.png", "scores.png")}


def test_a_page_says_what_was_measured_on_what(cell: Make) -> None:
    page = as_markdown(report_of(cell([1.0], [0.0])))
    assert page.startswith("# Evaluation of spectral 1\n\n- calibrated: True\n- noise: pink\n")
    assert "| a list | 8 | 3 | 2 | 5 | 0.5 |\n" in page
    assert "\n- one note\n" in page
    assert page.endswith("|\n")
    assert "Mean over the lists" not in page  # one target is too few for one


def test_every_list_has_a_table_of_its_rows_in_their_order(cell: Make) -> None:
    cells = [
        cell([2.0], [0.0, -1.0], short=3, unusable=4),
        cell([2.0], [0.0], list="theirs", condition="opus"),
        cell([], [0.0], duration_s=math.inf),
    ]
    page = as_markdown(report_of(*cells))
    assert [line for line in page.splitlines() if line.startswith("##")] == ["## ours", "## theirs"]
    brief, full = table_rows(page, "ours")
    assert (brief["net speech"], brief["condition"], full["net speech"]) == ("1 s", "clean", "full")
    counts = [brief[name] for name in ("trials", "targets", "speakers", "left out")]
    assert counts == ["3", "1", "2", "7"]
    assert brief["EER %"] == brief["EER % of raw cosine"] == "0.0"
    assert brief["Cllr"] == f"{cells[0].calibrated.figures['cllr']:.3f}"
    assert brief["actDCF .05"] == f"{cells[0].calibrated.figures['act_dcf_05']:.3f}"
    assert {full[name] for name in ("EER %", "Cllr", "EER % of raw cosine")} == {"-"}
    (other,) = table_rows(page, "theirs")
    assert other["condition"] == "opus"
    assert "minCllr of all" not in other


def test_the_raw_cosine_of_a_system_stands_beside_its_scores(cell: Make) -> None:
    ours, worse = cell(TARGETS, NONTARGETS), cell(NONTARGETS, TARGETS)
    both = cell(TARGETS, NONTARGETS, cosine=worse.cosine)
    (one,) = table_rows(as_markdown(report_of(both)), "ours")
    assert one["EER % of raw cosine"] == f"{100 * worse.cosine.figures['eer']:.1f}"
    assert one["EER %"] == f"{100 * ours.calibrated.figures['eer']:.1f}"


def test_a_list_with_doubtful_labels_has_its_table_and_is_in_no_mean(cell: Make) -> None:
    cells = [cell(TARGETS, NONTARGETS), cell(NONTARGETS, TARGETS, list="crowd", reliable=False)]
    page = as_markdown(report_of(*cells))
    (mean,) = table_rows(page, "Mean over the lists")
    (ours,) = table_rows(page, "ours")
    (crowd,) = table_rows(page, "crowd")
    assert mean["lists"] == "1"
    assert mean["EER %"] == ours["EER %"] != crowd["EER %"]
    assert page.index("## crowd") < page.index("## Mean over the lists")


def test_the_table_of_means_says_of_how_many_lists(cell: Make) -> None:
    cells = [cell(TARGETS, NONTARGETS), cell(TARGETS, NONTARGETS, list="theirs")]
    (mean,) = table_rows(as_markdown(report_of(*cells)), "Mean over the lists")
    assert mean["lists"] == "2"
    assert mean["minCllr of all"] == mean["minCllr"]  # of lists that are alike
    assert "left out" not in mean
