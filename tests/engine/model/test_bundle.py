from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import BundleError, VoxwatchError
from engine.model.bundle import default_bundle_folder, load_bundle, write_bundle
from engine.model.manifest import (
    COHORT_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    Calibration,
    Manifest,
    Normalisation,
)

SIZE = 8
GRAPH = b"any bytes: the graph is not read here"
MODEL = {MODEL_FILE: GRAPH}


def manifest(**changes: Any) -> Manifest:
    given: dict[str, Any] = {
        "name": "test",
        "version": "1",
        "licence": "Apache-2.0",
        "source": "tests",
        "architecture": {"channels": 8},
        "front_end": {"n_mels": 80},
        "embedding_size": SIZE,
    }
    return Manifest(**(given | changes))


def unit_rows(count: int = 5, size: int = SIZE) -> np.ndarray:
    rows = np.random.default_rng(0).standard_normal((count, size))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


CALIBRATION = Calibration(half_speech_s=1.5, slope=(0.5, 1.0), offset=(-1.0, 0.5, -2.0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    whole = manifest(calibration=CALIBRATION, normalisation=Normalisation(top=3))
    return write_bundle(tmp_path / "bundle", whole, MODEL, unit_rows()).folder


def message(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        load_bundle(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_bundle_comes_back_as_it_was_written(folder: Path) -> None:
    bundle = load_bundle(folder)
    assert bundle.manifest.calibration == CALIBRATION
    assert bundle.manifest.normalisation == Normalisation(top=3)
    assert bundle.model_path.read_bytes() == GRAPH
    assert sorted(bundle.manifest.sha256) == [COHORT_FILE, MODEL_FILE]
    assert bundle.cohort is not None
    assert bundle.cohort.dtype == np.float32
    np.testing.assert_allclose(bundle.cohort, unit_rows(), atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(bundle.cohort, axis=1), 1, atol=1e-6)


def test_keys_that_earlier_versions_wrote_are_passed_over(folder: Path) -> None:
    path = folder / MANIFEST_FILE
    alarm = {"claim": 1.0, "voice": 2.0, "offset": -1.0, "log_rate": 4.0, "decay": 1.0}
    evidence = {"slope": 2.0, "takeover": alarm, "change": alarm}
    kept = json.loads(path.read_text())
    kept["calibration"]["evidence"] = evidence
    path.write_text(json.dumps(kept))
    expected = load_bundle(folder).manifest
    old = {**alarm, "glance": 0.0}
    quick = {"takeover": {**alarm, "glance": 0.7}, "glance_s": 1.5}
    kept["calibration"]["evidence"] = {**evidence, "takeover": old, "change": old, "quick": quick}
    path.write_text(json.dumps(kept))
    assert load_bundle(folder).manifest == expected
    assert expected.calibration is not None
    assert expected.calibration.evidence is not None
    assert expected.calibration.evidence.slope == 2.0
    kept["calibration"]["evidence"]["sums"] = 1.0
    path.write_text(json.dumps(kept))
    assert "sums" in message(folder)


def test_a_bundle_needs_no_cohort(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "plain", manifest(), MODEL)
    assert bundle.cohort is None
    assert not (bundle.folder / COHORT_FILE).exists()


def test_nothing_is_left_beside_it(folder: Path) -> None:
    write_bundle(folder, manifest(name="again"), MODEL)
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]
    assert load_bundle(folder).manifest.name == "again"
    assert not (folder / COHORT_FILE).exists()


def test_a_folder_with_other_things_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BundleError, match="is not a model bundle: choose another output"):
        write_bundle(tmp_path, manifest(), MODEL)
    assert (tmp_path / "thesis.tex").exists()


def test_an_unwritable_place_is_said(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.touch()
    with pytest.raises(BundleError, match=r"cannot write the bundle to .+ choose another"):
        write_bundle(blocker / "bundle", manifest(), MODEL)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    assert "there is no model bundle at" in message(tmp_path / "none")


def test_a_folder_without_manifest_is_said(tmp_path: Path) -> None:
    assert "it has no manifest.json" in message(tmp_path)


@pytest.mark.parametrize("as_folder", [False, True])
def test_an_onnx_file_without_manifest_is_sent_to_import(tmp_path: Path, as_folder: bool) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(GRAPH)
    assert "`voxwatch models import`" in message(tmp_path if as_folder else file)


def test_a_file_inside_a_bundle_is_not_the_bundle(folder: Path) -> None:
    assert "name the folder" in message(folder / MODEL_FILE)


@pytest.mark.parametrize("name", [MODEL_FILE, COHORT_FILE])
def test_a_changed_file_is_refused(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    text = message(folder)
    assert "sha256" in text
    assert name in text


@pytest.mark.parametrize("name", [MODEL_FILE, COHORT_FILE])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"cannot read {folder / name}" in message(folder)


def rewrite(folder: Path, **changes: Any) -> None:
    path = folder / MANIFEST_FILE
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": "red"},
        {"format": 2},
        {"name": ...},
        {"name": ""},
        {"sample_rate_hz": 8000},
        {"embedding_size": 0},
        {"precision": "fp64"},
        {"min_window_s": 30.0},
        {"window_s": [2.0, 99.0]},
        {"normalisation": {"method": "z-norm", "top": 3}},
        {"calibration": {"half_speech_s": -1, "slope": [1, 0], "offset": [0, 0, 0]}},
    ],
)
def test_a_manifest_that_is_not_ours_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    rewrite(folder, **changes)
    assert "is not a manifest this version reads" in message(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_manifest_that_is_no_json_is_refused(folder: Path, content: bytes) -> None:
    (folder / MANIFEST_FILE).write_bytes(content)
    assert "is not a manifest this version reads" in message(folder)


def test_no_checksum_no_trust(folder: Path) -> None:
    rewrite(folder, sha256={})
    assert "states no sha256" in message(folder)


def test_a_manifest_cannot_point_outside(folder: Path) -> None:
    digests = json.loads((folder / MANIFEST_FILE).read_text())["sha256"]
    rewrite(folder, sha256=digests | {"../../etc/passwd": "0" * 64})
    assert "unknown file" in message(folder)


@pytest.mark.parametrize(
    ("cohort", "problem"),
    [
        (unit_rows(size=SIZE + 1), "has shape"),
        (2 * unit_rows(), "not of unit length"),
        (np.full((5, SIZE), np.nan), "not of unit length"),
        (unit_rows(1), "has shape"),
    ],
)
def test_a_cohort_that_does_not_fit_is_refused(
    tmp_path: Path, cohort: np.ndarray, problem: str
) -> None:
    with pytest.raises(BundleError, match=problem):
        write_bundle(tmp_path / "bundle", manifest(), MODEL, cohort)


def test_a_cohort_smaller_than_its_top_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="top 9 of a cohort of 5"):
        write_bundle(
            tmp_path / "b", manifest(normalisation=Normalisation(top=9)), MODEL, unit_rows()
        )


def test_normalisation_without_cohort_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"has no cohort\.npy"):
        write_bundle(tmp_path / "b", manifest(normalisation=Normalisation(top=2)), MODEL)


def test_the_default_bundle_is_found_without_importing_models() -> None:
    program = (
        "import sys; from engine.model.bundle import default_bundle_folder\n"
        "from engine.errors import BundleError\n"
        "try: default_bundle_folder()\n"
        "except BundleError: pass\n"
        "assert 'models' not in sys.modules and 'torch' not in sys.modules"
    )
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root)


def test_the_default_bundle_is_whole() -> None:
    try:
        folder = default_bundle_folder()
    except BundleError:
        pytest.skip("the default bundle has not been built yet")
    bundle = load_bundle()
    assert bundle.folder == folder
    assert bundle.manifest.calibration is not None
    assert bundle.model_path.stat().st_size <= 15_000_000


def test_errors_of_the_user_are_one_family() -> None:
    assert issubclass(BundleError, VoxwatchError)
