"""What kill -9 does: to a process, and at one place of the code."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Killed(BaseException):
    """Stands for kill -9 at one place: nothing of what comes after it is done."""


def die(*_: Any, **__: Any) -> None:
    """To be put in the place of a function."""
    raise Killed


def run_and_kill(program: str, *arguments: object, lines: int = 1, delay_s: float) -> list[str]:
    """The lines that a Python ``program`` printed until it was killed.

    That is ``delay_s`` after its first ``lines``, which are waited for.
    """
    command = [sys.executable, "-c", program, *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        printed = [process.stdout.readline().strip() for _ in range(lines)]
        time.sleep(delay_s)
        process.send_signal(signal.SIGKILL)
        printed += process.stdout.read().splitlines()
    # One that was quick had come to its end; none failed.
    assert process.wait() in (0, -signal.SIGKILL)
    return printed
