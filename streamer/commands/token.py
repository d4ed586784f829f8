"""`voxwatch token ...`: tokens for servers that others can reach."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Make tokens for a server's clients."
)


class RoleChoice(StrEnum):
    """The roles of the wire, as an enumeration: typer takes no list of literals."""

    STREAM = "stream"
    ENROL = "enrol"
    MONITOR = "monitor"
    ADMIN = "admin"


@app.callback()
def _group() -> None:
    """So that `new` is a command of its own."""


@app.command("new")
@dataclass(frozen=True, kw_only=True)
class NewTokenCommand:
    """Make a token, and the lines for the server's configuration that know it.

    The token is shown this once: the configuration holds its sha256 only. Clients give it as
    $VOXWATCH_TOKEN or in the header `Authorization: Bearer TOKEN`.

    \b
    Example:
      voxwatch token new --role stream --role monitor --name desk
    """

    role: Annotated[list[RoleChoice], typer.Option("--role", help="What it allows; may repeat.")]
    name: Annotated[str, typer.Option(help="Who or what has it, for people.")] = "client"
    days: Annotated[
        float | None, typer.Option(min=0.001, help="After so many days it works no more.")
    ] = None
    false_accept: Annotated[
        float | None, typer.Option(help="The largest that its streams may ask for.")
    ] = None
    scores: Annotated[
        bool, typer.Option("--scores/--no-scores", help="Whether its streams are told figures.")
    ] = True

    def run(self) -> None:
        """Print the token and the lines."""
        from streamer.config_sources import find_config

        token = secrets.token_urlsafe(32)
        typer.echo(f"# token, for the client, shown only now: {token}")
        place = find_config(os.environ) or "a file for `voxwatch serve --config`"
        typer.echo(
            f"# add these lines to the server's configuration, {place}; nothing was written:"
        )
        typer.echo("[[tokens]]")
        typer.echo(f"name = {json.dumps(self.name)}")  # JSON's strings are TOML's too
        typer.echo(f"roles = {json.dumps([str(r) for r in dict.fromkeys(self.role)])}")
        typer.echo(f'sha256 = "{hashlib.sha256(token.encode()).hexdigest()}"')
        if self.days is not None:
            expires = datetime.now(UTC) + timedelta(days=self.days)
            typer.echo(f"expires = {expires.isoformat(timespec='seconds')}")
        if self.false_accept is not None:
            typer.echo(f"false_accept = {self.false_accept:g}")
        if not self.scores:
            typer.echo("scores = false")
