"""Programs of other projects, each in an environment of its own, against a real server."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peer_environments import ROOT, environment

from engine.model.bundle import Bundle
from engine.scoring.voiceprints import Prototype
from streamer.config import Config
from streamer.server.server import Server
from streamer.store.profile import Consent

RUN_S = 120


Peer = Callable[..., Any]


@pytest.fixture
def peer() -> Peer:
    """``await peer("pipecat", arguments...)``: what its program here prints, as JSON lines."""

    async def run(name: str, *arguments: str, program: str | None = None) -> list[Any]:
        python = environment(name)
        script = Path(__file__).parent / f"{program or name}_program.py"
        process = await asyncio.create_subprocess_exec(
            str(python),
            str(script),
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT / "clients" / "python")},
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), RUN_S)
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, err.decode()[-3000:]
        return [json.loads(line) for line in out.decode().splitlines() if line.startswith("{")]

    return run


@pytest.fixture
async def server(
    tmp_path: Path, spectral_bundle: Bundle, voice: Callable[..., Any]
) -> AsyncIterator[Server]:
    """A server that knows Anna."""
    config = Config(
        data_dir=tmp_path / "data",
        port=0,
        bundle=spectral_bundle.folder,
        provider="cpu",
        threads=1,
    )
    async with Server(config, drain_s=0.2) as running:
        context = running.context
        embedding = context.engine.backend.embed(voice("anna", 8.0, seed=100)[None])[0]
        context.store.add(
            "anna",
            [Prototype(embedding, 8.0)],
            consent=Consent("2026-11", context.store.now()),
            model_name=context.model.name,
            model_sha256=context.model.sha256,
            ttl_s=None,
            now=context.store.now(),
        )
        yield running


@pytest.fixture
def said(tmp_path: Path, voice: Callable[..., Any]) -> Callable[..., str]:
    """``said("anna", 3.0)``: a file of raw PCM, 16 kHz, 16 bit."""

    def write(name: str, seconds: float, *, seed: int = 0) -> str:
        path = tmp_path / f"{name}-{seconds}-{seed}.raw"
        sound = np.round(voice(name, seconds, seed=seed) * 32767).astype("<i2")
        path.write_bytes(sound.tobytes())
        return str(path)

    return write
