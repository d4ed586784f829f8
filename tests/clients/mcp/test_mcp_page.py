"""What docs/MCP.md and docs/AGENTS.md show of MCP runs as it is written there."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed")

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from streamer.server.server import Server

DOCS = Path(__file__).parents[3] / "docs"
COMMANDS = re.findall(r"^\$ (.*voxwatch mcp .*)$", (DOCS / "MCP.md").read_text(), re.MULTILINE)
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(sys.path)}
PORT = ":8770"
SERVER = "ws://127.0.0.1:8765"


def settings(page: str) -> str:
    found = re.search(r"```json\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert found
    return found[1]


def test_both_pages_show_the_same_settings() -> None:
    assert settings("AGENTS.md") == settings("MCP.md")


async def test_a_program_starts_it_by_the_settings_that_are_shown(server: Server) -> None:
    (shown,) = json.loads(settings("MCP.md"))["mcpServers"].values()
    assert shown["command"] == "voxwatch"
    assert SERVER in shown["args"]
    arguments = [server.url if one == SERVER else one for one in shown["args"]]
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "streamer.cli", *arguments], env=ENVIRONMENT
    )
    async with Client(command) as client:
        told = await client.call_tool("list_streams")
        assert told.structured_content["connected"]


@asynccontextmanager
async def running(line: str, server: str) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """The URL that a command of the page says, and the environment that it gives."""
    words = shlex.split(line)
    environment = dict(word.split("=", 1) for word in words[: words.index("voxwatch")])
    arguments = [word.replace(PORT, ":0") for word in words[words.index("voxwatch") + 1 :]]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "streamer.cli",
        *arguments,
        env={**os.environ, **ENVIRONMENT, **environment, "VOXWATCH_URL": server},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        yield (await process.stderr.readline()).decode().strip(), environment
    finally:
        process.terminate()
        await process.communicate()


@pytest.mark.parametrize("line", COMMANDS)
async def test_a_program_calls_it_by_the_commands_that_are_shown(server: Server, line: str) -> None:
    async with running(line, server.url) as (url, environment):
        token = environment.get("VOXWATCH_MCP_TOKEN", "")
        shown: Any = {"Authorization": f"Bearer {token}"} if token else {}
        url = url.replace("0.0.0.0", "127.0.0.1")
        async with (
            httpx2.AsyncClient(headers=shown) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            told = await client.call_tool("list_streams")
            assert told.structured_content["connected"]


def test_the_page_shows_both() -> None:
    assert len(COMMANDS) == 2
