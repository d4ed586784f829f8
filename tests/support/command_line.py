"""Commands of `voxwatch` run to their end, in this process or in one of their own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys

import pytest
from program import COMMAND, ROOT

from streamer.cli import main

Done = subprocess.CompletedProcess[str]


def voxwatch(*arguments: object) -> Done:
    """Run the command through `main`, as its script does, but in this process.

    A failure that `main` does not turn into a line is raised: a user would see a traceback.
    """
    said, complained = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(complained),
    ):
        patch.setattr(sys, "argv", ["voxwatch", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
    status = end.value.code or 0
    assert isinstance(status, int)
    return Done(COMMAND, status, said.getvalue(), complained.getvalue())


def voxwatch_process(*arguments: object, **settings: str) -> Done:
    """Run the command in a process of its own, as a user would."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
        check=False,
    )


def refused(done: Done) -> str:
    """The one line of a refusal."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line
