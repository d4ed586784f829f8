"""Programs of Node with the built client, against a real server."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import subprocess
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.model.bundle import Bundle
from engine.scoring.voiceprints import Prototype
from streamer.config import Config
from streamer.server.auth import Token
from streamer.server.server import Server
from streamer.store.profile import Consent
from streamer.wire.requests import Role

CLIENT = Path(__file__).parents[3] / "clients" / "js"
NODE = shutil.which("node")
OWN_SOCKETS = "--experimental-websocket"  # Node before 22 has its own WebSocket by this alone
RUN_S = 60.0

if not NODE:
    pytest.skip("needs node", allow_module_level=True)
if not (CLIENT / "dist" / "index.js").is_file():
    reason = "needs the built client: npm ci && npm run build in clients/js"
    pytest.skip(reason, allow_module_level=True)


class Program:
    """A program that prints JSON lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[dict[str, Any]] = []

    async def line(self) -> dict[str, Any] | None:
        """The next line; None at the end of it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(RUN_S):
            text = await self.process.stdout.readline()
        if not text:
            return None
        found: dict[str, Any] = json.loads(text)
        self.said.append(found)
        return found

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Read until a line of this type that says this."""
        while (line := await self.line()) is not None:
            if line["type"] == kind and fields.items() <= line.items():
                return line
        raise AssertionError(f"no {kind}; {await self.complaint()}; it said {self.said[-5:]}")

    async def rest(self) -> list[dict[str, Any]]:
        """Everything that it says until it has ended well."""
        while await self.line() is not None:
            pass
        assert await self.process.wait() == 0, await self.complaint()
        return self.said

    async def complaint(self) -> str:
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()[-2000:]


Run = Callable[..., AbstractAsyncContextManager[Program]]


@pytest.fixture
def run() -> Run:
    """``async with run("stream", url, file=..., claim=...) as program``: of ``program.mjs``.

    ``sockets`` is "own" for Node's own WebSocket; otherwise that of `ws` is passed in.
    """

    @asynccontextmanager
    async def start(
        command: str, url: str, *, sockets: str = "ws", program: str = "program.mjs", **asked: Any
    ) -> AsyncIterator[Program]:
        flags = [OWN_SOCKETS, "--no-warnings"] if sockets == "own" else []
        given = json.dumps({"url": url, "sockets": sockets, **asked})
        script = Path(__file__).with_name(program)
        process = await asyncio.create_subprocess_exec(
            str(NODE),
            *flags,
            str(script),
            command,
            given,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield Program(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    return start


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `npm pack` makes, unpacked."""
    folder = tmp_path_factory.mktemp("package")
    pack = ["npm", "pack", "--silent", "--pack-destination", str(folder)]
    subprocess.run(pack, cwd=CLIENT, check=True, capture_output=True)
    (packed,) = folder.iterdir()
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


Serve = Callable[..., AbstractAsyncContextManager[Server]]


@pytest.fixture
def serve(tmp_path: Path, spectral_bundle: Bundle, voice: Callable[..., Any]) -> Serve:
    """``async with serve(name="alice", ...)``: a server that knows Anna by that name; settings."""

    @asynccontextmanager
    async def start(
        name: str = "anna", data: str = "data", **settings: Any
    ) -> AsyncIterator[Server]:
        config = Config(
            data_dir=tmp_path / data,
            port=0,
            bundle=spectral_bundle.folder,
            provider="cpu",
            threads=1,
            **settings,
        )
        async with Server(config, drain_s=0.2) as running:
            context = running.context
            if not context.store.profiles(context.store.now()):
                embedding = context.engine.backend.embed(voice("anna", 8.0, seed=100)[None])[0]
                context.store.add(
                    name,
                    [Prototype(embedding, 8.0)],
                    consent=Consent("2026-11", context.store.now()),
                    model_name=context.model.name,
                    model_sha256=context.model.sha256,
                    ttl_s=None,
                    now=context.store.now(),
                )
            yield running

    return start


@pytest.fixture
async def server(serve: Serve) -> AsyncIterator[Server]:
    async with serve() as running:
        yield running


def token_of(text: str, *roles: Role) -> Token:
    """As the configuration has it."""
    return Token(name=text, roles=roles, sha256=hashlib.sha256(text.encode()).hexdigest())


@pytest.fixture
def said(tmp_path: Path, voice: Callable[..., Any]) -> Callable[..., str]:
    """``said(("anna", 3.0), (None, 1.0))``: a file of raw PCM, 16 kHz, 16 bit; None is silence."""

    def write(*parts: tuple[str | None, float]) -> str:
        sounds = [
            np.random.default_rng(i).normal(0, 1e-3, round(seconds * 16_000))
            if name is None
            else voice(name, seconds, seed=i)
            for i, (name, seconds) in enumerate(parts)
        ]
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.raw"
        path.write_bytes(np.round(np.concatenate(sounds) * 32767).astype("<i2").tobytes())
        return str(path)

    return write
