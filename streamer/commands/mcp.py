"""`voxwatch mcp`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlsplit

import typer

from streamer.commands.options import CaOption, ServerOption, TokenOption, trusting

UnsureChoice = Literal["drop", "pass"]


@dataclass(frozen=True, kw_only=True)
class McpCommand:
    """Let language models ask who is speaking, by the Model Context Protocol.

    Programs start it and talk to it by its standard input and output; with --http it listens for
    them. It only reads, with a token of the role `monitor`.

    \b
    Examples:
      voxwatch mcp --server ws://127.0.0.1:8765
      voxwatch mcp --http 127.0.0.1:8770
    """

    server: ServerOption = "ws://127.0.0.1:8765"
    token: TokenOption = None
    ca: CaOption = None
    when_unsure: Annotated[
        UnsureChoice, typer.Option(help="Whether what cannot be decided is allowed (`pass`).")
    ] = "drop"
    wait_s: Annotated[
        float,
        typer.Option("--wait", min=0, max=30, help="Seconds for a turn to end, at most."),
    ] = 3.0
    http: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Listen there by HTTP, path /mcp.")
    ] = None
    http_token: Annotated[
        str | None,
        typer.Option(
            "--http-token",
            envvar="VOXWATCH_MCP_TOKEN",
            help="What callers by HTTP have to show; needed beyond this machine.",
        ),
    ] = None
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="Another `Host` of requests, as of a proxy; may repeat."),
    ] = None
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Pages of that origin may ask [none]; may repeat."),
    ] = None

    def run(self) -> None:
        """Serve until interrupted, or until the program that started it has gone."""
        from voxwatch_client.mcp import Address, Settings, serve_http, serve_stdio

        settings = Settings(
            server=self.server,
            token=self.token,
            tls=trusting(self.ca),
            when_unsure=self.when_unsure,
            wait_s=self.wait_s,
        )
        if self.http is None:
            asyncio.run(serve_stdio(settings))
            return
        hosts, origins = tuple(self.allow_host or ()), tuple(self.allow_origin or ())
        address = Address(*_place(self.http), self.http_token, hosts, origins)
        asyncio.run(serve_http(settings, address, lambda url: typer.echo(url, err=True)))


def _place(given: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{given}")
        if parts.hostname and parts.port is not None and not parts.path:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise typer.BadParameter(f"{given!r} is not HOST:PORT", param_hint="--http")
