"""`voxwatch wyoming`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from streamer.commands.options import (
    CaOption,
    FalseAcceptOption,
    MissOption,
    ServerOption,
    TokenOption,
    trusting,
)

UnsureChoice = Literal["drop", "pass"]


@dataclass(frozen=True, kw_only=True)
class WyomingCommand:
    """Stand before a Wyoming speech-to-text service, as of Home Assistant, and gate the speaker.

    Satellites are given this address in place of the recogniser's. What somebody says who may not
    command comes out as an empty transcript. Voices are those that the server knows.

    \b
    Example:
      voxwatch wyoming --upstream tcp://whisper:10300 --claim alice,bob --discoverable
    """

    upstream: Annotated[str, typer.Option(metavar="URI", help="The recogniser, tcp://HOST:PORT.")]
    uri: Annotated[str, typer.Option(metavar="URI", help="Where to listen.")] = (
        "tcp://127.0.0.1:10301"
    )
    server: ServerOption = "ws://127.0.0.1:8765"
    token: TokenOption = None
    ca: CaOption = None
    claim: Annotated[
        str, typer.Option(metavar="NAMES", help="Who may command [anyone enrolled].")
    ] = ""
    false_accept: FalseAcceptOption = None
    miss: MissOption = None
    when_unsure: Annotated[
        UnsureChoice, typer.Option(help="What becomes of commands too short or too noisy to judge.")
    ] = "drop"
    wait_s: Annotated[
        float, typer.Option("--wait", min=0.1, max=30, help="Seconds for a verdict at most.")
    ] = 2.0
    prefix: Annotated[
        bool, typer.Option("--prefix", help="Put `[name]` before the words of a transcript.")
    ] = False
    label: Annotated[str, typer.Option(help="What monitors and MQTT see of it.")] = "wyoming"
    discoverable: Annotated[
        bool, typer.Option("--discoverable", help="Announce it, as Home Assistant looks for it.")
    ] = False

    def run(self) -> None:
        """Serve until interrupted."""
        from voxwatch_client.wyoming import Settings, serve

        for uri in (self.uri, self.upstream):
            if not uri.startswith(("tcp://", "unix://")):
                raise typer.BadParameter(f"{uri!r} is not tcp://HOST:PORT or unix://PATH")
        settings = Settings(
            upstream=self.upstream,
            server=self.server,
            claim=self.claim,
            token=self.token,
            when_unsure=self.when_unsure,
            wait_s=self.wait_s,
            prefix=self.prefix,
            label=self.label,
            options={
                "tls": trusting(self.ca),
                "false_accept": self.false_accept,
                "miss": self.miss,
            },
        )
        typer.echo(f"listening at {self.uri}, before {self.upstream}", err=True)
        asyncio.run(serve(self.uri, settings, discoverable=self.discoverable))
