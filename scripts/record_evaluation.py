"""Puts the mean figures of an evaluation into a bundle's manifest.

python scripts/record_evaluation.py REPORT.json [BUNDLE]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engine.model.bundle import load_bundle, write_bundle
from engine.model.manifest import COHORT_FILE
from models.evaluation.report import duration_name


def figures(report: dict[str, Any]) -> dict[str, Any]:
    """EER in per cent, Cllr and minCllr in bits, by duration of the test side, clean.

    The means are over the lists with reliable labels, if the evaluation was told which they are.
    """
    found = {}
    for row in report["means"]:
        if row["condition"] == "clean" and row["list"] == "mean":
            values = row["calibrated"]
            found[duration_name(row["duration_s"])] = {
                "lists": row["lists"],
                "trials": row["trials"],
                "eer_percent": round(100 * values["eer"]["value"], 2),
                "cllr": round(values["cllr"]["value"], 4),
                "min_cllr": round(values["min_cllr"]["value"], 4),
            }
    return {
        "speakers": max(row["speakers"] for row in report["means"]),
        "lists": [r["name"] for r in report["lists"]],
        "clean": found,
        "by_list": by_list(report),
        "operating_points": operating_points(report),
    }


def by_list(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The clean figures of each list by duration, with its counts and the interval of the EER.

    ``in_means`` says whether the means count the list: whether its labels are reliable.
    """
    found: dict[str, dict[str, Any]] = {
        one["name"]: {"in_means": one["in_means"] == "yes"} for one in report["lists"]
    }
    for row in report["rows"]:
        values = row["calibrated"]
        if row["condition"] == "clean" and values:
            eer = values["eer"]
            interval = [eer["low"], eer["high"]]
            found[row["list"]][duration_name(row["duration_s"])] = {
                **{name: row[name] for name in ("trials", "targets", "speakers")},
                "eer_percent": round(100 * eer["value"], 2),
                "eer_percent_interval": [x if x is None else round(100 * x, 2) for x in interval],
                "cllr": round(values["cllr"]["value"], 4),
                "min_cllr": round(values["min_cllr"]["value"], 4),
            }
    return found


def operating_points(report: dict[str, Any]) -> list[list[float]] | None:
    """Rates by threshold on windows of 3 s, the default: what the dashboard's slider shows."""
    for row in report["means"]:
        if (row["condition"], row["list"], row["duration_s"]) == ("clean", "mean", 3.0):
            points: list[list[float]] = row["operating_points"]
            return points
    return None


def main() -> None:
    """Rewrites the bundle's manifest; model and cohort stay as they are."""
    report = json.loads(Path(sys.argv[1]).read_text())
    bundle = load_bundle(Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    if report["model"]["sha256"] != bundle.manifest.model_sha256:
        sys.exit(f"{sys.argv[1]} is of another model than {bundle.folder}: evaluate this one")
    manifest = msgspec.structs.replace(bundle.manifest, evaluation=figures(report))
    # As stored: the cohort that a bundle is loaded with has been brought to unit length again.
    stored = np.load(bundle.folder / COHORT_FILE) if bundle.cohort is not None else None
    write_bundle(bundle.folder, manifest, bundle.model_files(), stored)


if __name__ == "__main__":
    main()
