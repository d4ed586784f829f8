"""The program `voxwatch` as a process of its own, and a server of it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from typer.testing import Result

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "streamer.cli"]
Run = Callable[..., Result]


def lines(text: str) -> list[dict[str, Any]]:
    """What a command printed with ``--json``."""
    return [json.loads(line) for line in text.splitlines()]


@contextlib.contextmanager
def serving(environment: dict[str, str], *options: str) -> Iterator[tuple[str, Any]]:
    """A server process and its address."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", *options],
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 60)[0]
        said = process.stdout.readline()
        assert " is ready: spectral 1 on cpu" in said, said or process.stderr
        yield said.split()[0], process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], number: signal.Signals, status: int) -> str:
    """The log of a server that a signal ended, and well."""
    process.send_signal(number)
    _, log = process.communicate(timeout=30)
    assert process.returncode == status
    assert "Traceback" not in log
    assert "ending: " in log
    return log
