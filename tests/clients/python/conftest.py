"""A server that notes every byte, and a line to it that breaks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from scripted_server import Line, Scripted, serving


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    scripted = Scripted()
    async with serving(scripted):
        yield scripted


@pytest.fixture
async def line(server: Scripted) -> AsyncIterator[Line]:
    async with Line(int(server.url.rpartition(":")[2])).laid() as line:
        yield line
