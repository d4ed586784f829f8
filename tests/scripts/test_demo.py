"""The demonstration from beginning to end, with real synthesised speech."""

from __future__ import annotations

import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def environment_is_current() -> bool:
    """Whether the tests run in the environment of the scripts, as pyproject.toml has it now."""
    stamp = ROOT / ".venv" / "installed"
    if Path(sys.prefix) != stamp.parent or not stamp.exists():
        return False
    return (
        stamp.read_text().split()[0] == sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    )


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "demo", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(
    not (shutil.which("flite") or shutil.which("espeak-ng")),
    reason="no speech synthesiser is installed: apt-get install flite",
)
@pytest.mark.skipif(
    not environment_is_current(),
    reason="the demonstration would change what is installed: run scripts/test, which did so",
)
def test_every_decision_of_the_demonstration_is_right() -> None:
    done = demo("--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4 decisions are right" in done.stdout


def test_an_unknown_argument_is_refused_before_anything_is_installed() -> None:
    done = demo("--chekc")
    assert done.returncode == 2
    assert done.stderr == "error: usage: scripts/demo [--check]\n"
