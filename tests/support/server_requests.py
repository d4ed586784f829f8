"""Tokens and requests, for tests of a server."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
from typing import Any

from streamer.server.auth import Token
from streamer.server.server import Server


def token(name: str, *roles: Any, **more: Any) -> Token:
    """A token that is its own name."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return Token(name=name, roles=roles, sha256=digest, **more)


def bearer(name: str) -> dict[str, str]:
    """The header that shows the token."""
    return {"Authorization": f"Bearer {name}"}


async def get(server: Server, path: str, headers: Any = None) -> Any:
    """The response to a GET, its body as ``text``."""

    def request() -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", path, headers=headers or {})
        response: Any = connection.getresponse()
        response.text = response.read().decode()
        connection.close()
        return response

    return await asyncio.to_thread(request)
