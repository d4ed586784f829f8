"""What an evaluation leaves in a bundle's manifest."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.model.bundle import Bundle, load_bundle
from scripts import record_evaluation as script

POINTS = [[-1.0, 0.5, 0.1], [2.0, 0.05, 0.2]]


def row(duration_s: float | None, eer: float, **changed: Any) -> dict[str, Any]:
    figures = {"eer": eer, "cllr": 0.30001, "min_cllr": 0.25}
    values = {
        "list": "mean", "condition": "clean", "duration_s": duration_s, "lists": 5,
        "trials": 1000, "speakers": 197, "operating_points": None,
        "calibrated": {n: {"value": x, "low": x / 2, "high": None} for n, x in figures.items()},
    }  # fmt: skip
    return values | changed


def report(sha256: str) -> dict[str, Any]:
    return {
        "model": {"sha256": sha256},
        "lists": [
            {"name": "english", "in_means": "yes"},
            {"name": "farsi", "in_means": "no"},
        ],
        "rows": [
            row(2.0, 0.05, list="english", targets=40),
            row(2.0, 0.15, list="english", targets=40, condition="noise"),
            row(None, 0.25, list="farsi", targets=50, speakers=30),
            row(3.0, 0.25, list="farsi", targets=0, calibrated={}),
        ],
        "means": [
            row(3.0, 0.2, condition="noise", operating_points=[[0.0, 1.0, 0.0]]),
            row(3.0, 0.3, list="all lists", operating_points=[[0.0, 1.0, 0.0]]),
            row(2.0, 0.04712, trials=900, operating_points=[[0.0, 1.0, 0.0]]),
            row(3.0, 0.04, operating_points=POINTS),
            row(None, 0.05, speakers=150),
        ],
    }


def test_clean_means_are_recorded_by_duration() -> None:
    found = script.figures(report("abc"))
    assert list(found["clean"]) == ["2 s", "3 s", "full"]
    assert found["clean"]["2 s"] == {
        "lists": 5, "trials": 900, "eer_percent": 4.71, "cllr": 0.3, "min_cllr": 0.25,
    }  # fmt: skip
    assert found["speakers"] == 197
    assert found["lists"] == ["english", "farsi"]
    assert found["operating_points"] == POINTS


def test_every_list_is_recorded_with_its_counts_and_interval() -> None:
    found = script.figures(report("abc"))["by_list"]
    assert list(found) == ["english", "farsi"]
    assert (found["english"]["in_means"], found["farsi"]["in_means"]) == (True, False)
    assert found["english"]["2 s"] == {
        "trials": 1000, "targets": 40, "speakers": 197, "eer_percent": 5.0,
        "eer_percent_interval": [2.5, None], "cllr": 0.3, "min_cllr": 0.25,
    }  # fmt: skip
    assert found["farsi"].keys() == {"in_means", "full"}


def test_without_three_seconds_there_are_no_rates_by_threshold() -> None:
    some = report("abc")
    some["means"] = some["means"][:3]
    assert script.figures(some)["operating_points"] is None


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A copy of the built-in one, which has a cohort."""
    return load_bundle(Path(shutil.copytree(load_bundle().folder, tmp_path / "bundle")))


def record(bundle: Bundle, some: dict[str, Any], patch: pytest.MonkeyPatch) -> None:
    file = bundle.folder.parent / "report.json"
    file.write_text(json.dumps(some))
    patch.setattr(sys, "argv", ["record_evaluation", str(file), str(bundle.folder)])
    script.main()


def test_only_the_manifest_changes(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {p.name: p.read_bytes() for p in bundle.folder.iterdir()}
    record(bundle, report(bundle.manifest.model_sha256), monkeypatch)
    after = {p.name: p.read_bytes() for p in bundle.folder.iterdir()}
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == {"manifest.json"}
    new = load_bundle(bundle.folder).manifest
    assert new.evaluation["clean"]["3 s"]["eer_percent"] == 4.0
    assert new.calibration == bundle.manifest.calibration


def test_the_evaluation_of_another_model_is_refused(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="is of another model than"):
        record(bundle, report("abc"), monkeypatch)
    assert load_bundle(bundle.folder).manifest == bundle.manifest
