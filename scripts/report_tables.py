"""The tables of models/REPORT.md, from what scripts/compare_systems.py and the benchmarks wrote.

python scripts/report_tables.py models/report --also "short training=runs/short" > tables.md
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from models.evaluation.replay import KINDS
from models.evaluation.report import duration_name

Row = dict[str, Any]
SHOWN = (2.0, 3.0)  # net seconds that degraded speech is told for


def read(folder: Path, name: str) -> Any:
    """One JSON file of an evaluation."""
    return json.loads((folder / name).read_text(encoding="utf-8"))


def table(heads: list[str], rows: Iterable[list[str]]) -> list[str]:
    """A Markdown table, without the column of conditions where all is clean."""
    rows = list(rows)
    if "condition" in heads and rows:
        at = heads.index("condition")
        if {row[at] for row in rows} == {"clean"}:
            heads = heads[:at] + heads[at + 1 :]
            rows = [row[:at] + row[at + 1 :] for row in rows]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def percent(figure: Row, digits: int = 1) -> str:
    """An estimate of a share, in per cent, with its interval."""
    return _with_interval(figure, 100, digits)


def ratio(figure: Row) -> str:
    """An estimate of a ratio with its interval."""
    return _with_interval(figure, 1, 2)


def _with_interval(figure: Row, scale: float, digits: int) -> str:
    values = [figure[name] for name in ("value", "low", "high")]
    if values[0] is None:
        return "-"
    shown = [None if x is None else f"{scale * x:.{digits}f}" for x in values]
    return shown[0] or "" if None in shown[1:] else f"{shown[0]} ({shown[1]}-{shown[2]})"


def place(line: Row) -> tuple[str, str, str]:
    """Which cell a line of a comparison is of."""
    return line["list"], duration_name(line["duration_s"]), line["condition"]


def called(rival: str) -> str:
    """A rival's name in a table: without the digest of its weights, or of our own name."""
    for known, name in (("campplus", "CAM++"), ("Resemblyzer", "Resemblyzer")):
        if rival.startswith(known):
            return name
    return rival.split()[-1]


def error_rates(lines: list[Row], also: dict[str, list[Row]], wanted: list[Row]) -> list[str]:
    """EER of every system in the cells of the ``wanted`` lines, ours and its ratios last."""
    rivals = list(dict.fromkeys(line["rival"] for line in lines))
    published = list(dict.fromkeys(line["rival"] for line in lines if line["floor"] is not None))
    cells: dict[tuple[str, str, str], dict[str, Row]] = {}
    for line in lines:
        cells.setdefault(place(line), {})[line["rival"]] = line
    others = {name: {place(x): x for x in own} for name, own in also.items()}
    heads = [
        "list",
        "net speech",
        "condition",
        "targets",
        *map(called, rivals),
        *others,
        "**this**",
    ]
    heads += [f"over {called(rival)}" for rival in published]
    rows = []
    for key in dict.fromkeys(map(place, wanted)):
        own = cells[key]
        first = next(iter(own.values()))
        row = [*key, str(first["targets"])]
        row += [percent(own[rival]["theirs"]) for rival in rivals]
        row += [percent(one[key]["calibrated"]) if key in one else "-" for one in others.values()]
        row += [f"**{percent(first['calibrated'])}**"]
        rows.append(row + [ratio(own[rival]["ratio"]) for rival in published])
    return table(heads, rows)


def floors(lines: list[Row]) -> list[str]:
    """What is asked of the ratios: of every list where clean speech is held against Resemblyzer, of
    the means elsewhere."""
    cells: dict[tuple[str, str, str, float], dict[float, Row]] = {}
    for x in lines:
        alone = called(x["rival"]) == "Resemblyzer" and x["condition"] == "clean"
        if x["floor"] is not None and x["duration_s"] in SHOWN and (x["list"] == "mean") != alone:
            key = (called(x["rival"]), x["list"], x["condition"], x["floor"])
            cells.setdefault(key, {})[x["duration_s"]] = x
    rows = []
    for (rival, name, condition, floor), own in cells.items():
        told = []
        for figure in (own[s]["ratio"] for s in SHOWN):
            verdict = "reached" if figure["value"] <= floor else "missed"
            told.append(f"{ratio(figure)} {verdict}")
        rows.append([rival, name, condition, f"{floor:g}", *told])
    return table(["over", "list", "condition", "floor", *(f"{s:g} s" for s in SHOWN)], rows)


def stated(rates: list[Row], reliable: bool, degraded: bool) -> list[str]:
    """Measured false accepts, and right speakers undecided and rejected, by what was stated."""
    points = sorted({x["stated_false_accept"] for x in rates}, reverse=True)
    cells: dict[tuple[str, str, str], dict[float, Row]] = {}
    for x in rates:
        told = not degraded or x["duration_s"] == max(SHOWN)
        if x["reliable"] == reliable and (x["condition"] != "clean") == degraded and told:
            cells.setdefault(place(x), {})[x["stated_false_accept"]] = x
    heads = ["list", "net speech", "condition", "targets / non-targets"]
    for point in points:
        heads += [f"at {100 * point:g} %: false accepts", "undecided", "rejected"]
    rows = []
    for key, own in cells.items():
        first = next(iter(own.values()))
        row = [*key, f"{first['targets']} / {first['nontargets']}"]
        for point in points:
            measured = ("false_accept", "undecided", "rejected")
            row += [_short(own[point][name]) for name in measured]
        rows.append(row)
    return table(heads, rows)


def _short(figure: Row) -> str:
    value = 100 * figure["value"]
    return "0" if value == 0 else f"{value:.{max(0, 1 - math.floor(math.log10(value)))}f}"


def spoofing(rows: list[Row]) -> list[str]:
    """How many real and cloned clips are accepted."""
    heads = ["stated false accepts / misses", "real clips accepted", "clones accepted"]
    shown = [
        [
            f"{100 * x['stated_false_accept']:g} % / {100 * x['stated_miss']:g} %",
            f"{100 * x['real_accepted']:.0f} % of {x['real_trials']}",
            f"{100 * x['clones_accepted']:.0f} % of {x['cloned_trials']}",
        ]
        for x in rows
    ]
    return table(heads, shown)


def replay(rows: list[Row]) -> list[str]:
    """The share of each kind of sound that is accepted, by list and stated rates."""
    cells: dict[tuple[str, str, str], dict[str, Row]] = {}
    for x in rows:
        rates = f"{100 * x['stated_false_accept']:g} % / {100 * x['stated_miss']:g} %"
        of = f"{x['trials']} of {x['speakers']}"
        cells.setdefault((x["list"], of, rates), {})[x["kind"]] = x["accepted"]
    heads = ["list", "trials of speakers", "stated false accepts / misses", *KINDS.values()]
    return table(
        heads, [[*key, *(percent(own[kind], 0) for kind in KINDS)] for key, own in cells.items()]
    )


def speed(figures: Row) -> list[str]:
    """CPU time for a second of one stream, as ratios to the first network."""
    named = figures["figures"]
    first = next(iter(named.values()))["ms_per_stream_second"]
    rows = [
        [name, f"{x['ms_per_stream_second']:.1f}", f"{x['ms_per_stream_second'] / first:.2f}"]
        for name, x in named.items()
    ]
    return table(["network", "ms of one core", "ratio"], rows)


def filled(page: str, parts: dict[str, list[str]]) -> str:
    """The page with its tables replaced. Raises ``KeyError`` for a name that has no table."""

    def replaced(match: re.Match[str]) -> str:
        return "\n".join([match[1], *parts[match[2]], "<!-- end -->"])

    return re.sub(r"(<!-- (?!end)(.+?) -->)\n.*?<!-- end -->", replaced, page, flags=re.DOTALL)


def tables_of(report: Path, also: dict[str, list[Row]]) -> dict[str, list[str]]:
    """All tables by their names. ``also`` are the lines of others of our networks, by name."""
    folder = report / "evaluation"
    lines = read(folder, "comparison.json")["lines"]
    rates = read(folder, "stated_rates.json")
    sure = {x["list"] for x in rates if x["reliable"]}
    clean = [x for x in lines if x["condition"] == "clean"]
    degraded = [x for x in lines if x not in clean and x["duration_s"] == max(SHOWN)]
    parts = {
        "Clean": error_rates(lines, also, [x for x in clean if x["list"] in sure]),
        "Degraded": error_rates(lines, also, [x for x in degraded if x["list"] in sure]),
        "Floors": floors([x for x in lines if x["list"] in sure | {"mean"}]),
        "Stated, clean": stated(
            [x for x in rates if x["duration_s"] in (*SHOWN, 5.0)], reliable=True, degraded=False
        ),
        "Stated, degraded": stated(rates, reliable=True, degraded=True),
        "Less reliable": error_rates(
            lines,
            also,
            [x for x in clean if x["list"] not in sure | {"mean"} and x["duration_s"] == SHOWN[0]],
        ),
        "Spoofing": spoofing(read(folder, "spoofing.json")),
    }
    if (folder / "replay.json").exists():
        parts["Replay"] = replay(read(folder, "replay.json"))
    if (report / "speed.json").exists():
        parts["Speed"] = speed(read(report, "speed.json"))
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("report", type=Path, help="holds evaluation/ and speed.json")
    parser.add_argument("--also", action="append", default=[], help="NAME=FOLDER, another of ours")
    parser.add_argument("--into", type=Path, help="the page that the tables go into [printed]")
    given = parser.parse_args()
    named = (one.split("=", 1) for one in given.also)
    also = {name: read(Path(place), "comparison.json")["lines"] for name, place in named}
    parts = tables_of(given.report, also)
    if given.into is None:
        print(
            "\n".join(
                line for name, body in parts.items() for line in (f"## {name}", "", *body, "")
            )
        )
        return
    page = given.into.read_text(encoding="utf-8")
    given.into.write_text(filled(page, parts), encoding="utf-8")


if __name__ == "__main__":
    main()
