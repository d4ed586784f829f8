from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image

from models.benchmark.curves import Curve, Point
from models.benchmark.plots import FEWEST_ALARMS_H, LONGEST_S, decision_times, takeover_curves

INF, NAN = math.inf, math.nan


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that were saved, which takes their looks and not the second of drawing them."""
    found: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **how: found.append(self))
    return found


def point(alarms: float, p50_s: float, p95_s: float = 9.0, missed: float = 0.0) -> Point:
    return Point(0.0, alarms, p50_s, p95_s, missed, {})


def steps(axes: Any) -> dict[str, list[tuple[float, float]]]:
    """The corners of every curve with a name."""
    return {
        line.get_label(): [tuple(corner) for corner in line.get_xydata()]
        for line in axes.lines
        if not line.get_label().startswith("_")
    }


def test_a_curve_goes_down_as_more_false_alarms_are_allowed(
    drawn: list[Figure], tmp_path: Path
) -> None:
    points = point(0.0, 4.0), point(1.0, 2.0, 8.0), point(3.0, 2.5), point(5.0, 1.0, 6.0, 0.5)
    curve = Curve("ours", points)
    takeover_curves([curve], tmp_path / "a.png")
    (figure,) = drawn
    median, tail, missed = figure.axes
    # None at all has a place on the logarithmic axis; a worse threshold does not raise the line.
    assert steps(median)["ours"] == [(FEWEST_ALARMS_H, 4), (1, 2), (3, 2), (5, 1)]
    assert steps(tail)["ours"] == [(FEWEST_ALARMS_H, 9), (1, 8), (3, 8), (5, 6)]
    assert steps(missed)["ours"] == [(FEWEST_ALARMS_H, 0), (1, 0), (3, 0), (5, 0)]
    assert median.get_xscale() == "log"
    assert median.get_ylim() == (0, LONGEST_S)
    assert missed.get_ylim()[1] <= 1  # a share, whose axis is not one of seconds


def test_what_is_unknown_or_never_is_not_drawn(drawn: list[Figure], tmp_path: Path) -> None:
    curve = Curve("ours", (point(0.5, NAN), point(1.0, INF), point(2.0, 3.0)))
    nothing = Curve("theirs", (point(1.0, NAN),))
    takeover_curves([curve, nothing], tmp_path / "a.png")
    median = drawn[0].axes[0]
    (never, known) = steps(median)["ours"]
    assert never[0] == 1
    assert math.isnan(never[1])
    assert known == (2, 3)
    assert "theirs" not in steps(median)


def test_times_add_up_to_the_share_that_was_decided(drawn: list[Figure], tmp_path: Path) -> None:
    times = {"accepted": {"ours": [3.0, INF, 1.0, INF]}, "rejected": {"ours": []}}
    decision_times(times, tmp_path / "a.png")
    accepted, rejected = drawn[0].axes
    (line,) = (line for line in accepted.lines if len(line.get_xydata()))
    assert [tuple(corner) for corner in line.get_xydata()] == [(0, 0), (1, 0.25), (3, 0.5)]
    assert [text.get_text() for text in accepted.get_legend().texts] == ["ours (4)"]
    assert (accepted.get_title(), rejected.get_title()) == ("accepted", "rejected")
    assert [text.get_text() for text in rejected.get_legend().texts] == ["ours (0)"]


def test_pictures_are_written(tmp_path: Path) -> None:
    takeover_curves([Curve("ours", (point(1.0, 2.0),))], tmp_path / "a.png")
    decision_times({"accepted": {"ours": [2.0]}}, tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        with Image.open(tmp_path / name) as image:
            assert image.format == "PNG"
            assert min(image.size) > 200
