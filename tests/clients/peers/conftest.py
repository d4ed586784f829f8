"""Programs of other projects, each in an environment of its own, against a real server."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from peer_environments import ROOT, environment
from scripted_server import Scripted, serving

RUN_S = 120


Peer = Callable[..., Any]


@pytest.fixture
def peer() -> Peer:
    """``await peer("pipecat", arguments...)``: what its program here prints, as JSON lines.

    ``at`` is called with each ``{"at": PLACE}`` that it prints, while the program goes on.
    """

    async def run(
        name: str,
        *arguments: str,
        program: str | None = None,
        at: Callable[[str], Awaitable[None]] | None = None,
    ) -> list[Any]:
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
        assert process.stdout is not None
        assert process.stderr is not None
        complaints = asyncio.create_task(process.stderr.read())
        told = []
        try:
            async with asyncio.timeout(RUN_S):
                async for line in process.stdout:
                    record = json.loads(line) if line.startswith(b"{") else {}
                    if at is not None and "at" in record:
                        await at(record["at"])
                    elif record:
                        told.append(record)
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, (await complaints).decode()[-3000:]
        return told

    return run


@pytest.fixture
def restart(place: Any) -> Callable[[str], Awaitable[None]]:
    """To be called at the places `middle`, where the server is stopped, and `away`."""

    async def do(where: str) -> None:
        await (place.stop() if where == "middle" else place.start())

    return do


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """A server that hears everything and says nothing of it: its URL."""
    scripted = Scripted()
    scripted.may_take.clear()
    async with serving(scripted):
        yield scripted.url
