"""A server that knows Anna, and where a proxy keeps what was said to it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from streamer.config import Config
from streamer.server.server import Server


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the proxy may be asked for its past commands."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / f"voxwatch-{os.getuid()}"


@pytest.fixture
async def server(settings: Callable[..., Config], enrol: Any) -> AsyncIterator[Server]:
    async with Server(settings(), drain_s=0.2) as running_server:
        enrol(running_server, "anna")
        yield running_server
