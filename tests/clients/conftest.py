"""Real servers for the plugs: one that knows Anna, and one that is stopped and started again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ports import free_port

from engine.model.bundle import Bundle
from engine.scoring.voiceprints import Prototype
from streamer.config import Config
from streamer.server.server import Server
from streamer.store.profile import Consent


class Place:
    """A server at one address, that is there or is not. It knows Anna."""

    def __init__(self, config: Config, voice: Callable[..., Any]) -> None:
        self._config, self._voice = config, voice
        self._running = AsyncExitStack()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._config.port}"

    async def start(self) -> Server:
        server = await self._running.enter_async_context(Server(self._config, drain_s=0.2))
        context = server.context
        if "anna" not in {profile.name for profile in context.store.profiles(context.store.now())}:
            enrol(server, self._voice)
        return server

    async def stop(self) -> None:
        await self._running.aclose()


def enrol(server: Server, voice: Callable[..., Any]) -> None:
    context = server.context
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


@pytest.fixture
async def place(
    tmp_path: Path, spectral_bundle: Bundle, voice: Callable[..., Any]
) -> AsyncIterator[Place]:
    """Where a server may be; none is yet."""
    config = Config(
        data_dir=tmp_path / "data",
        port=free_port(),
        bundle=spectral_bundle.folder,
        provider="cpu",
        threads=1,
    )
    place = Place(config, voice)
    yield place
    await place.stop()


@pytest.fixture
async def server(place: Place) -> Server:
    """A server that knows Anna."""
    return await place.start()


@pytest.fixture
def pcm(voice: Callable[..., Any]) -> Callable[..., bytes]:
    """``pcm("anna", 3.0)``: what she says, 16 kHz, 16 bit."""

    def spoken(name: str, seconds: float, *, seed: int = 0) -> bytes:
        return np.round(voice(name, seconds, seed=seed) * 32767).astype("<i2").tobytes()

    return spoken


@pytest.fixture
def said(tmp_path: Path, pcm: Callable[..., bytes]) -> Callable[..., str]:
    """``said("anna", 3.0)``: a file of it."""

    def write(name: str, seconds: float, *, seed: int = 0) -> str:
        path = tmp_path / f"{name}-{seconds}-{seed}.raw"
        path.write_bytes(pcm(name, seconds, seed=seed))
        return str(path)

    return write
