"""Commands within this process with a store of their own, and a server that knows Anna."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from program import Run
from typer.testing import CliRunner, Result

from engine.errors import VoxwatchError
from engine.model.bundle import Bundle
from streamer.cli import app
from streamer.config import Config
from streamer.server.server import Server
from voxwatch_client import ClientError


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


@pytest.fixture
def environment(tmp_path: Path, spectral_bundle: Bundle) -> dict[str, str]:
    return {
        "VOXWATCH_DATA_DIR": str(tmp_path / "data"),
        "VOXWATCH_BUNDLE": str(spectral_bundle.folder),
        "VOXWATCH_PROVIDER": "cpu",
        "VOXWATCH_CONFIG": "",
    }


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """A command within this process; a failure is raised, as `main` would print it."""

    def invoke(*arguments: object, input: str | bytes | None = None) -> Result:
        result = CliRunner(env=environment).invoke(app, [*map(str, arguments)], input=input)
        if isinstance(result.exception, VoxwatchError | ClientError):
            raise result.exception
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def recorded(tmp_path: Path, voice: Callable[..., Any]) -> Callable[..., Path]:
    """``recorded("anna", 25, seed=1)``: a file of that voice."""

    def write(name: str, seconds: float = 25.0, *, seed: int = 0) -> Path:
        path = tmp_path / f"{name}{seconds:g}-{seed}.wav"
        quiet = np.random.default_rng(seed).normal(0, 1e-3, 8_000)  # to measure the noise by
        sound = np.concatenate([quiet, voice(name, seconds, seed=seed), quiet])
        sf.write(path, sound, 16_000, subtype="FLOAT")
        return path

    return write
