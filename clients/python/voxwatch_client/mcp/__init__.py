"""MCP: language models ask who is speaking.

    await serve_stdio(Settings(server="ws://localhost:8765"))
    await serve_http(Settings(server="ws://localhost:8765"), Address("127.0.0.1", 8770))

Tools and resources are answered from one monitor connection to a voxwatch server, which is opened
again whenever it ends. Needs the extra `mcp`. `voxwatch mcp` runs it.
"""

from __future__ import annotations

from mcp.server.stdio import stdio_server

from voxwatch_client.mcp.http import Address, serve_http
from voxwatch_client.mcp.server import Settings, SpeakerTools

__all__ = ["Address", "Settings", "SpeakerTools", "serve_http", "serve_stdio"]


async def serve_stdio(settings: Settings) -> None:
    """Serve the program that has started us, until it closes our input."""
    server = SpeakerTools(settings).server()
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())
