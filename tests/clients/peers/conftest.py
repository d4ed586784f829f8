"""Programs of other projects, each in an environment of its own, against a real server."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peer_environments import ROOT, environment

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
