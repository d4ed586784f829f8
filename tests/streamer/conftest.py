"""A real server on a free port, with a tiny bundle, and plain WebSockets to talk to it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import numpy as np
import pytest
from enrolled_people import Disk
from lock_order import LockOrder, watching
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from engine.model.bundle import Bundle
from engine.scoring.voiceprints import Prototype
from streamer.config import Config, Limits
from streamer.server.server import Server
from streamer.store.profile import Consent

WAIT_S = 20.0  # for what has to come; nothing in a test takes as long


class Wire:
    """A WebSocket to the server, and what it says as dictionaries."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.seen: list[dict[str, Any]] = []

    async def say(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def sound(self, pcm: bytes, piece: int = 16_000) -> None:
        for start in range(0, len(pcm), piece):
            await self.connection.send(pcm[start : start + piece])

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_S):
            message: dict[str, Any] = json.loads(await self.connection.recv())
        self.seen.append(message)
        return message

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        while True:
            message = await self.hear()
            if message.get("type") == kind and fields.items() <= message.items():
                return message

    async def rest(self) -> int:
        """Hear everything until the server closes; the close code."""
        try:
            while True:
                await self.hear()
        except ConnectionClosed:
            assert self.connection.close_code is not None
            return self.connection.close_code

    async def ask(self, **request: Any) -> Any:
        await self.say(id=1, **request)
        answer = await self.hear()
        assert answer["id"] == 1
        return answer["result"] if answer["ok"] else answer["error"]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.seen if message["type"] == kind]


class Dial(Protocol):
    """Opens a WebSocket to ``path``; query parameters by name."""

    def __call__(
        self, server: Server, path: str = ..., *, headers: Any = ..., **query: Any
    ) -> AbstractAsyncContextManager[Wire]: ...


@pytest.fixture(autouse=True)
def lock_order(monkeypatch: pytest.MonkeyPatch) -> Iterator[LockOrder]:
    """Nothing waits for the store's lock within a transaction of another database."""
    with watching(monkeypatch) as order:
        yield order
    assert order.broken == [], order.broken[0]


@pytest.fixture
def dial() -> Dial:
    @asynccontextmanager
    async def open_wire(
        server: Server, path: str = "/v1/stream", *, headers: Any = None, **query: Any
    ) -> AsyncIterator[Wire]:
        url = server.url.replace("http", "ws", 1) + path
        if query:
            url += "?" + urlencode(query)
        async with connect(
            url, compression=None, additional_headers=headers, close_timeout=2
        ) as connection:
            yield Wire(connection)

    return open_wire


@pytest.fixture
def settings(tmp_path: Path, spectral_bundle: Bundle) -> Callable[..., Config]:
    """A configuration: free port, tiny bundle, one thread; ``limits`` are given as a dict."""

    def make(*, limits: dict[str, Any] | None = None, **changes: Any) -> Config:
        return Config(
            data_dir=tmp_path / "data",
            port=0,
            bundle=spectral_bundle.folder,
            provider="cpu",
            threads=1,
            limits=Limits(**(limits or {})),
            **changes,
        )

    return make


@pytest.fixture
async def server(settings: Callable[..., Config]) -> AsyncIterator[Server]:
    async with Server(settings(), drain_s=1.0) as running:
        yield running


@pytest.fixture
def enrol(voice: Callable[..., Any]) -> Callable[..., None]:
    """``enrol(server, "anna")``: puts a synthetic voice into the store."""

    def add(server: Server, name: str, *, sounds_like: str | None = None) -> None:
        sound = voice(sounds_like or name, 8.0, seed=100)
        embedding = server.context.engine.backend.embed(sound[None])[0]
        server.context.store.add(
            name,
            [Prototype(embedding, 8.0)],
            consent=Consent("2026-11", time.time()),
            model_name=server.context.model.name,
            model_sha256=server.context.model.sha256,
            ttl_s=None,
            now=time.time(),
        )

    return add


@pytest.fixture
def pcm(voice: Callable[..., Any]) -> Callable[..., bytes]:
    """``pcm("anna", 5.0, seed=1)``: 16 kHz s16le."""

    def make(name: str, seconds: float, *, seed: int = 0) -> bytes:
        return np.round(voice(name, seconds, seed=seed) * 32767).astype("<i2").tobytes()

    return make


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Root alone can mount one."""
    if os.geteuid() or not shutil.which("mkfs.ext4"):
        pytest.skip("a file system in a file needs root and mkfs.ext4")
    image, folder = tmp_path / "disk.img", tmp_path / "disk"
    image.write_bytes(bytes(16 << 20))
    folder.mkdir()
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("this machine mounts no file system in a file")
    try:
        yield Disk(image, folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
