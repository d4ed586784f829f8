from __future__ import annotations

import math

from models.benchmark.curves import Curve, Point, curve_table


def point(threshold: float, alarms: float, p50_s: float, p95_s: float = 9.0) -> Point:
    return Point(threshold, alarms, p50_s, p95_s, 0.0, {"delay p50 s": str(p50_s)})


CURVE = Curve(
    "ours",
    (point(1, 0.0, math.nan), point(2, 0.4, 3.0), point(3, 0.9, 2.5), point(4, 4.0, 1.0)),
)


def test_the_least_delay_within_the_budget() -> None:
    assert CURVE.at(0.5) == CURVE.points[1]
    assert CURVE.at(1.0) == CURVE.points[2]
    assert CURVE.at(100.0) == CURVE.points[3]
    assert Curve("none", (point(1, 2.0, 1.0),)).at(1.0) is None


def test_equal_medians_are_told_apart_by_the_rest() -> None:
    curve = Curve("x", (point(1, 0.1, 2.0, 8.0), point(2, 0.2, 2.0, 4.0)))
    chosen = curve.at(1.0)
    assert chosen is not None
    assert chosen.threshold == 2


def test_a_system_without_a_threshold_for_the_budget_has_no_row() -> None:
    table = curve_table([CURVE, Curve("loud", (point(7, 15.0, 1.0),))])
    rows = [(row["false alarms /h, at most"], row["system"]) for row in table.rows]
    assert ("10", "loud") not in rows
    assert ("20", "loud") in rows
    assert ("0.5", "ours") in rows
    (best,) = (row for row in table.rows if row["false alarms /h, at most"] == "1")
    assert best["threshold"] == "3"
