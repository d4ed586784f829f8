from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from scipy.special import ndtr

from models.evaluation import plots
from models.evaluation.scoring import Cell

Make = Callable[..., Cell]
TARGETS, NONTARGETS = (3.0, 2.0, 1.0, -1.0), (2.5, 0.0, -1.0, -2.0, -3.0)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that were saved, which takes their looks and not the second of drawing them."""
    found: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **how: found.append(self))
    return found


def curves(axes: Any) -> dict[str, list[tuple[float, float]]]:
    """False alarms and misses of every curve with a name."""
    return {
        line.get_label(): [tuple(point) for point in ndtr(line.get_xydata())]
        for line in axes.lines
        if not line.get_label().startswith("_")
    }


def areas(axes: Any) -> dict[str, tuple[float, float]]:
    """Where the histogram of every kind begins and ends above nothing."""
    found = {}
    for patch in axes.patches:
        outline = patch.get_path().vertices
        above = outline[outline[:, 1] > 0, 0]
        found[patch.get_label()] = (float(above.min()), float(above.max()))
    return found


@pytest.mark.parametrize("draw", [plots.det, plots.score_distributions])
def test_a_picture_is_written(draw: Callable[..., None], cell: Make, tmp_path: Path) -> None:
    draw([cell(TARGETS, NONTARGETS)], tmp_path / "a.png", title="ours")
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("RGB"))
    assert min(pixels.shape[:2]) > 200
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20  # not an empty frame
    assert pixels[0, 0].tolist() == [255, 255, 255]


def test_one_panel_has_the_durations_and_the_other_the_conditions(
    drawn: list[Figure], cell: Make, tmp_path: Path
) -> None:
    cells = [
        cell(TARGETS, (*NONTARGETS, *more), duration_s=duration_s, condition=condition)
        for duration_s, condition, *more in (
            (2.5, "noise", 1.5),
            (2.5, "clean", 2.2),
            (math.inf, "noise", -2.5),
            (math.inf, "clean", 2.8),
        )
    ]
    plots.det(cells, tmp_path / "a.png", title="ours")
    (figure,) = drawn
    assert figure.get_suptitle() == "ours: detection error trade-off"
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("by net speech, noise", "by condition, full")
    assert (list(curves(left)), list(curves(right))) == (["2.5 s", "full"], ["noise", "clean"])
    assert curves(left)["full"] == curves(right)["noise"] != curves(right)["clean"]


def test_a_curve_has_the_error_rates_of_every_threshold(
    drawn: list[Figure], cell: Make, tmp_path: Path
) -> None:
    one = cell(TARGETS, NONTARGETS)
    plots.det([one], tmp_path / "a.png", title="ours")
    (points,) = curves(drawn[0].axes[0]).values()
    scores, target = one.calibrated.scores, one.target
    every = {
        (np.mean(scores[~target] >= bound), np.mean(scores[target] < bound)) for bound in scores
    }
    inside = [(a, m) for a, m in every if 0 < a < 1 and 0 < m < 1]
    assert len(points) == len(set(points)) >= 2
    for point in points:
        assert any(point == pytest.approx(rates) for rates in inside)


def test_axes_tell_rates_in_per_cent(drawn: list[Figure], cell: Make, tmp_path: Path) -> None:
    plots.det([cell(TARGETS, NONTARGETS)], tmp_path / "a.png", title="ours")
    axes = drawn[0].axes[0]
    for axis, label in ((axes.xaxis, "false alarms, %"), (axes.yaxis, "misses, %")):
        assert axis.get_label_text() == label
        told = [float(tick.get_text()) for tick in axis.get_ticklabels()]
        np.testing.assert_allclose(100 * ndtr(axis.get_ticklocs()), told)


def test_lists_are_drawn_together_and_count_the_same(
    drawn: list[Figure], cell: Make, tmp_path: Path
) -> None:
    short = cell(TARGETS, NONTARGETS)
    other = cell((1.5, 0.5), (0.7, -0.2, -4.0), list="theirs")
    long = cell((1.5, 0.5) * 9, (0.7, -0.2, -4.0) * 9, list="theirs")
    for cells in ([short, other], [short, long]):
        plots.det(cells, tmp_path / "a.png", title="ours")
    (one,), (again,) = (list(curves(figure.axes[0]).values()) for figure in drawn)
    np.testing.assert_allclose(one, again)


def test_a_list_of_one_kind_is_in_no_picture(
    drawn: list[Figure], cell: Make, tmp_path: Path
) -> None:
    whole, odd = cell(TARGETS, NONTARGETS), cell((9.0, 8.0), (), list="odd")
    for cells in ([whole], [whole, odd], [odd]):
        plots.det(cells, tmp_path / "a.png", title="ours")
        plots.score_distributions(cells, tmp_path / "a.png", title="ours")
    alone, _, both, densities, none, empty = drawn
    assert curves(both.axes[0]) == curves(alone.axes[0]) != {}
    assert areas(densities.axes[0])["one speaker"][1] <= 3.5
    assert curves(none.axes[0]) == areas(empty.axes[0]) == {}
    assert none.axes[0].get_legend() is None


def test_nothing_to_draw_is_an_empty_frame(drawn: list[Figure], tmp_path: Path) -> None:
    plots.det([], tmp_path / "a.png", title="ours")
    plots.score_distributions([], tmp_path / "a.png", title="ours")
    assert [len(figure.axes) for figure in drawn] == [2, 1]
    assert all(not areas(axes) and not curves(axes) for figure in drawn for axes in figure.axes)


def test_scores_have_a_panel_for_each_duration_of_the_first_condition(
    drawn: list[Figure], cell: Make, tmp_path: Path
) -> None:
    cells = [
        cell([8.0, 9.0], [-8.0, 0.0], duration_s=9.0),
        cell([50.0], [40.0], condition="noise"),
        cell(TARGETS, NONTARGETS, duration_s=2.0),
    ]
    plots.score_distributions(cells, tmp_path / "a.png", title="ours")
    (figure,) = drawn
    assert figure.get_suptitle() == "ours: scores, clean"
    assert [axes.get_ylabel() for axes in figure.axes] == ["2 s", "9 s"]
    brief, long = (areas(axes) for axes in figure.axes)
    assert brief["one speaker"] == pytest.approx((-1.0, 3.0), abs=0.11)
    assert brief["two"] == pytest.approx((-3.0, 2.5), abs=0.11)
    assert long["one speaker"] == pytest.approx((8.0, 9.0), abs=0.3)
    assert long["two"] == pytest.approx((-8.0, 0.0), abs=0.3)


@pytest.mark.parametrize(
    ("targets", "nontargets"),
    [([1.0], [-1.0]), ([5.0], np.linspace(-3, 1, 2001)), ([2.0, 2.0], [2.0])],
)
def test_the_few_trials_of_a_kind_are_seen(
    targets: list[float], nontargets: list[float], drawn: list[Figure], cell: Make, tmp_path: Path
) -> None:
    plots.score_distributions([cell(targets, nontargets)], tmp_path / "a.png", title="ours")
    ends = areas(drawn[0].axes[0])
    for name, scores in (("one speaker", targets), ("two", nontargets)):
        low, high = ends[name]
        assert low <= np.median(scores) <= high + 1e-9


def test_far_scores_of_a_crowd_do_not_squeeze_the_rest(
    drawn: list[Figure], cell: Make, tmp_path: Path
) -> None:
    targets = [*np.linspace(0, 5, 4000), 900.0]
    one = cell(targets, [*np.linspace(-5, 1, 4000), -900.0])
    plots.score_distributions([one], tmp_path / "a.png", title="ours")
    ends = areas(drawn[0].axes[0])
    assert (ends["two"][0], ends["one speaker"][1]) == pytest.approx((-5, 5), abs=0.1)


def test_only_llrs_have_a_zero_that_means_something(
    drawn: list[Figure], cell: Make, tmp_path: Path
) -> None:
    for is_llr in (True, False):
        one = cell(TARGETS, NONTARGETS, is_llr=is_llr)
        plots.score_distributions([one], tmp_path / "a.png", title="ours")
    axes, others = (figure.axes[0] for figure in drawn)
    assert (axes.get_xlabel(), others.get_xlabel()) == ("log-likelihood ratio (nats)", "score")
    assert [line.get_xdata()[0] for line in axes.lines] == [0]
    assert len(others.lines) == 0
