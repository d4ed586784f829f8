"""The program that attacks a server says when it did not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from engine.errors import VoxwatchError
from scripts.attack.__main__ import end


def test_an_attack_that_failed_is_no_measurement() -> None:
    attackers = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    attackers.wait()
    with pytest.raises(VoxwatchError, match="status 3"):
        end(attackers)


def test_an_attack_that_goes_on_is_ended() -> None:
    attackers = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    end(attackers)
    assert attackers.poll() is not None
    assert attackers.stdin is not None
    attackers.stdin.close()
