import pytest

from models.evaluation.replay import KINDS
from scripts.report_tables import error_rates, filled, floors, replay, stated


def estimate(value):
    return {"value": value, "low": 0.9 * value, "high": 1.1 * value}


def line(name, rival, ours, theirs, floor):
    return {
        "list": name,
        "duration_s": 2.0,
        "condition": "clean",
        "targets": 40,
        "rival": rival,
        "theirs": estimate(theirs),
        "calibrated": estimate(ours),
        "ratio": estimate(ours / theirs),
        "floor": floor,
    }


def test_each_cell_has_every_system_once_and_floors_say_what_is_missed():
    lines = [line("a", "Resemblyzer 1", 0.05, 0.10, 0.6), line("a", "campplus 9", 0.05, 0.02, 1.5)]
    lines.append(line("a", "old 2026", 0.05, 0.05, None))
    rows = error_rates(lines, {"short": [line("a", "R 1", 0.07, 0.1, 0.6)]}, lines)
    assert len(rows) == 3
    assert rows[0].endswith("| CAM++ | 2026 | short | **this** | over Resemblyzer | over CAM++ |")
    for shown in (
        "| 10.0 (9.0-11.0) |",
        "| 7.0 (6.3-7.7) |",
        "**5.0 (4.5-5.5)**",
        "2.50 (2.25-2.75)",
    ):
        assert shown in rows[2]
    means = [
        line("mean", "Resemblyzer 1", 0.05, 0.1, 0.6),
        line("mean", "campplus 9", 0.05, 0.02, 1.5),
    ]
    both = [one | {"duration_s": s} for one in lines + means for s in (2.0, 3.0)]
    told = floors(both)[2:]
    assert [row.split(" | ")[:2] for row in told] == [["| Resemblyzer", "a"], ["| CAM++", "mean"]]
    assert [(row.count("reached"), row.count("missed")) for row in told] == [(2, 0), (0, 2)]


def test_stated_rates_are_told_side_by_side():
    rates = [
        {
            "list": "a",
            "duration_s": None,
            "condition": "clean",
            "reliable": True,
            "targets": 5,
            "nontargets": 7,
            "stated_false_accept": rate,
            "false_accept": estimate(rate),
            "undecided": estimate(0.0),
            "rejected": estimate(0.123),
        }
        for rate in (0.01, 0.05)
    ]
    rows = stated(rates, reliable=True, degraded=False)
    assert rows[2] == "| a | full | 5 / 7 | 5.0 | 0 | 12 | 1.0 | 0 | 12 |"
    assert stated(rates, reliable=False, degraded=False)[2:] == []


def test_tables_are_replaced_where_they_belong_and_nothing_else():
    page = "a\n<!-- One -->\nold\n<!-- end -->\nb\n<!-- Two -->\n<!-- end -->\n"
    assert filled(page, {"One": ["1", "2"], "Two": ["3"]}) == (
        "a\n<!-- One -->\n1\n2\n<!-- end -->\nb\n<!-- Two -->\n3\n<!-- end -->\n"
    )
    with pytest.raises(KeyError):
        filled(page, {})


def test_replayed_sound_stands_beside_genuine_and_a_stranger():
    rows = [
        {
            "list": "a",
            "kind": kind,
            "trials": 12,
            "speakers": 3,
            "stated_false_accept": 0.01,
            "stated_miss": 0.05,
            "accepted": estimate(value),
        }
        for kind, value in zip(KINDS, (0.7, 1.0, 0.9, 0.4, 0.5, 0.0), strict=True)
    ]
    (row,) = replay(rows)[2:]
    assert row.startswith("| a | 12 of 3 | 1 % / 5 % | 70 (63-77) | 100 (90-110) |")
    assert row.endswith("| 0 (0-0) |")
