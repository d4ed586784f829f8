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


async def ask(
    server: Server, method: str, path: str, body: Any = None, *, headers: Any = None
) -> Any:
    """The response to a request, its body as ``text``; ``body`` in pieces is sent chunked."""

    def request() -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        chunked = body is not None and not isinstance(body, bytes)
        connection.request(method, path, body, headers=headers or {}, encode_chunked=chunked)
        response: Any = connection.getresponse()
        response.text = response.read().decode()
        connection.close()
        return response

    return await asyncio.to_thread(request)


async def get(server: Server, path: str, headers: Any = None) -> Any:
    """The response to a GET, its body as ``text``."""
    return await ask(server, "GET", path, headers=headers)
