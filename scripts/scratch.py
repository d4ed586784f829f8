"""Scratch environments for other systems, which are no dependency of voxwatch."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path

from engine.errors import VoxwatchError


class ScratchError(VoxwatchError):
    """Another system that cannot be installed here."""


def scratch_python(folder: Path, what: str, steps: Sequence[Sequence[str]]) -> Path:
    """The interpreter of an environment in ``folder`` with the system ``what``, made unless it is
    there. ``steps`` are the arguments of each `pip install`; PyTorch and SciPy are taken from here.
    """
    python = folder / "bin" / "python"
    done = folder / f"{what}.installed"
    if done.exists() and python.exists():
        _borrow(python)  # from where we are now, which may be elsewhere than when it was made
        return python
    if importlib.util.find_spec("torch") is None:
        raise ScratchError("torch is not installed here: install voxwatch with its train extra")
    print(f"installing {what} into {folder}", file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)
    _borrow(python)
    for step in steps:
        command = [str(python), "-m", "pip", "install", "--quiet", *step]
        if subprocess.run(command, check=False).returncode:
            raise ScratchError(
                f"pip could not install {' '.join(step)} into {folder}: see its message above"
            )
    done.touch()
    return python


def _borrow(python: Path) -> None:
    """Let the environment see the packages of this one, after its own."""
    packages = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"], text=True
    ).strip()
    (Path(packages) / "host.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
