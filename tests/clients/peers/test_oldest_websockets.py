"""The client beside the oldest websockets that it asks for."""

from __future__ import annotations

from typing import Any

from streamer.server.server import Server


async def test_the_client_works_beside_the_oldest_websockets(
    server: Server, peer: Any, said: Any
) -> None:
    told, without_asyncio = await peer("oldest-websockets", server.url, said("anna", 3.0))
    assert told["websockets"] == "13.0"
    assert "match" in told["states"]
    assert told["refused"] == "name-taken"
    assert told["watched"]
    assert without_asyncio["sync"][-1] == "Summary"
