"""`serve`: how it begins and ends, as a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from typing import Any

import pytest
from program import COMMAND, ROOT, Run, ended, serving

from engine.errors import VoxwatchError
from voxwatch_client import ConnectionFailed


def test_a_terminal_that_is_closed_lets_streams_tell_what_they_know(
    environment: dict[str, str],
) -> None:
    with serving(environment) as (_, process):
        ended(process, signal.SIGHUP, 0)


def test_the_server_warns_of_its_settings_once_it_is_ready(environment: dict[str, str]) -> None:
    with serving({**environment, "VOXWATCH_GLANCE": "true"}) as (_, process):
        log = ended(process, signal.SIGTERM, 0)
    (warning,) = (line for line in log.splitlines() if "glance" in line)
    assert re.fullmatch(
        r"[\d-]+ [\d:,]+ WARNING glance .* does nothing any more: remove it", warning
    )


def test_an_interrupt_ends_the_server(environment: dict[str, str]) -> None:
    with serving(environment) as (_, process):
        log = ended(process, signal.SIGINT, 130)
        assert log.splitlines()[-1].startswith("ending")


def test_a_port_in_use_and_a_place_that_needs_tokens(
    environment: dict[str, str], run: Run, recorded: Any
) -> None:
    async def taken() -> None:
        async with await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            done = await asyncio.to_thread(
                subprocess.run,
                [*COMMAND, "serve", "--port", str(port)],
                env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
            )
            assert done.returncode == 2
            assert done.stdout == ""
            (line,) = done.stderr.splitlines()
            place = f"127.0.0.1:{port} (Address already in use)"
            assert line == f"error: cannot listen on {place}: choose another port, or host"

    asyncio.run(taken())
    with pytest.raises(VoxwatchError, match="token"):
        run("serve", "--host", "0.0.0.0")
    with pytest.raises(ConnectionFailed, match="is `voxwatch serve` running"):
        run("stream", recorded("anna", 1.0), "--server", "ws://127.0.0.1:9")
