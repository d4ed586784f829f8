"""What the script says of what it cannot fit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from engine.model.bundle import Bundle, write_bundle

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("exists", "said"),
    [(False, "there is no model bundle at"), (True, "not calibrated: run `voxwatch calibrate`")],
)
def test_a_bundle_that_it_cannot_fit_is_an_error_of_one_line(
    spectral_bundle: Bundle, tmp_path: Path, exists: bool, said: str
) -> None:
    if exists:
        manifest = msgspec.structs.replace(spectral_bundle.manifest, calibration=None)
        write_bundle(tmp_path / "bundle", manifest, spectral_bundle.model_files())
    (tmp_path / "heldout.txt").write_text("s00\n")
    command = [sys.executable, str(ROOT / "scripts/fit_evidence.py"), str(tmp_path / "bundle")]
    command += ["--cache", str(tmp_path), "--heldout", str(tmp_path / "heldout.txt")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
