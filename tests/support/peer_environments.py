"""Environments of other projects, made by scripts/setup under .venv-peers."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def environment(name: str) -> Path:
    """Python of that peer's environment; the test is skipped where there is none."""
    python = ROOT / ".venv-peers" / name / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no {name} in .venv-peers: scripts/setup installs it")
    return python
