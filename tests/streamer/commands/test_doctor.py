"""`doctor`: what it says of an installation, and what it returns."""

from __future__ import annotations

from pathlib import Path

from program import Run, lines


def test_the_doctor_says_what_is_wrong_and_returns_1(run: Run, tmp_path: Path) -> None:
    healthy = run("doctor", "--json")
    assert {check["name"] for check in lines(healthy.stdout)} >= {"model", "store", "port", "clock"}
    (tmp_path / "empty").mkdir()
    ill = run("doctor", "--bundle", tmp_path / "empty")
    assert ill.exit_code == 1
    assert "FAIL model" in ill.stdout
