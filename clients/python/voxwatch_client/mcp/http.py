"""Streamable HTTP, for programs that call and nobody else.

A page in a browser on this machine reaches every port of it, also by a name of its own that it
makes point here (DNS rebinding). So what has another `Host` than ours is refused, and whatever has
an `Origin` that was not allowed. Beyond this machine a token is needed.
"""

from __future__ import annotations

import asyncio
import hmac
import socket
from collections.abc import Callable
from typing import Any

import msgspec
import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse

from voxwatch_client.addresses import is_loopback
from voxwatch_client.errors import ClientError
from voxwatch_client.mcp.server import Settings, SpeakerTools

PATH = "/mcp"
REQUEST_BYTES = 64 << 10  # a request names a tool and some words
SESSIONS = 64  # of clients at once
IDLE_S = 600.0  # after which a session of a client that does not come back is forgotten
CONNECTIONS = 256
CLOSE_S = 2  # for what is under way when the server ends
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Address(msgspec.Struct, frozen=True):
    """Where to listen, and who may come.

    ``hosts`` are other values of `Host` that are right, such as those of a proxy before it, each
    with its port unless that is the scheme's own. ``origins`` are pages that may ask.
    """

    host: str = "127.0.0.1"
    port: int = 8770
    token: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


class TokenGuard:
    """Lets only those in who show the token, before anything of a request is read."""

    def __init__(self, app: Any, token: str) -> None:
        self._app, self._expected = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            shown = next((v for k, v in scope["headers"] if k == b"authorization"), b"")
            if not hmac.compare_digest(shown, self._expected):
                refusal = JSONResponse(
                    {"error": "invalid_token", "error_description": "a token is wanted"},
                    status_code=401,
                    headers={"WWW-Authenticate": "Bearer"},
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def serve_http(
    settings: Settings, address: Address, listening: Callable[[str], object] = lambda url: None
) -> None:
    """Serve until interrupted; ``listening`` is told the URL. Raises :class:`ClientError`."""
    if address.token is None and not is_loopback(address.host):
        raise ClientError(
            f"whoever reaches {address.host} could ask who is speaking: give a token"
            " (VOXWATCH_MCP_TOKEN), or listen on 127.0.0.1"
        )
    with _bound(address) as bound:
        port = bound.getsockname()[1]
        listening(f"http://{_host(address.host)}:{port}{PATH}")
        config = uvicorn.Config(
            _app(SpeakerTools(settings), address, port),
            log_level="warning",
            ws="none",
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=CLOSE_S,
        )
        await _serve(uvicorn.Server(config), bound)


async def _serve(server: uvicorn.Server, bound: socket.socket) -> None:
    serving = asyncio.create_task(server.serve(sockets=[bound]), name="mcp by http")
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True  # it ends what is under way, which a cancellation would break off
        await serving
        raise


def _app(tools: SpeakerTools, address: Address, port: int) -> Any:
    app = tools.server().streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=REQUEST_BYTES,
        session_idle_timeout=IDLE_S,
        max_sessions=SESSIONS,
        transport_security=TransportSecuritySettings(
            enable_dns_rebinding_protection=True,
            allowed_hosts=[
                *(f"{host}:{port}" for host in (*LOOPBACK, _host(address.host))),
                *address.hosts,
            ],
            allowed_origins=list(address.origins),
        ),
    )
    return app if address.token is None else TokenGuard(app, address.token)


def _bound(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family)
    except OSError as error:
        raise ClientError(
            f"{_host(address.host)}:{address.port} cannot be listened on: {error.strerror}"
        ) from error


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
