"""Scratch environments of other systems."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import scratch


def test_an_environment_is_made_once_and_says_what_failed(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "env"
    with pytest.raises(scratch.ScratchError, match="could not install --no-index nothing-at-all"):
        scratch.scratch_python(folder, "nothing", [["--no-index", "nothing-at-all"]])
    assert not (folder / "nothing.installed").exists()
    (folder / "nothing.installed").touch()
    python = scratch.scratch_python(folder, "nothing", [["--no-index", "nothing-at-all"]])
    assert python.exists()
    # An environment may be used from another clone than it was made in, which may be gone.
    (borrowed,) = folder.rglob("host.pth")
    borrowed.write_text("/no/such/place\n")
    scratch.scratch_python(folder, "nothing", [])
    assert Path(borrowed.read_text().strip()).is_dir()


def test_without_torch_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(scratch.ScratchError, match="torch is not installed here"):
        scratch.scratch_python(tmp_path / "env", "nothing", [])
