"""A server that wants a token, a desk that watches it, and Anna on the telephone."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
from phone_line import CALLER, DESK, Followed
from server_requests import bearer
from telephone import over_a_line

from engine.scoring.voiceprints import Prototype
from streamer.config import Config
from streamer.server.server import Server
from streamer.store.profile import Consent


@pytest.fixture
async def guarded(settings: Callable[..., Config]) -> AsyncIterator[Server]:
    """A server that wants a token."""
    limits = {"resume_s": 20.0, "message_bytes": 1 << 17}
    async with Server(settings(tokens=(CALLER, DESK), limits=limits), drain_s=1.0) as running:
        yield running


@pytest.fixture
async def desk(guarded: Server, dial: Any) -> AsyncIterator[Followed]:
    async with dial(guarded, "/v1/monitor", headers=bearer("desk")) as wire:
        await wire.until("ready")
        yield Followed(wire)


@pytest.fixture
def said(voice: Any) -> Callable[..., bytes]:
    """``said("anna", 4.0)``: as :func:`pcm`, from a telephone."""

    def make(name: str, seconds: float) -> bytes:
        sound = over_a_line(voice(name, seconds, seed=7))
        return np.round(sound * 32767).astype("<i2").tobytes()

    return make


@pytest.fixture
def enrolled(guarded: Server, voice: Any) -> None:
    """Anna, by her voice on the telephone."""
    context = guarded.context
    embedding = context.engine.backend.embed(over_a_line(voice("anna", 8.0, seed=100))[None])[0]
    context.store.add(
        "anna",
        [Prototype(embedding, 8.0)],
        consent=Consent("2026-11", time.time()),
        model_name=context.model.name,
        model_sha256=context.model.sha256,
        ttl_s=None,
        now=time.time(),
    )
