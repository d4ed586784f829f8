"""`voxwatch profiles ...`: who is enrolled in the store on this machine."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamer.commands.options import (
    EXIT_NEGATIVE,
    ConfigOption,
    DataOption,
    JsonOption,
    configured,
)

if TYPE_CHECKING:
    from streamer.config import Config
    from streamer.store.store import Profile, Store

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="List, show, export and delete voiceprints."
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="As `profiles list` says.")]


@contextmanager
def opened(config: Config) -> Iterator[Store]:
    """The store of this configuration. A server may have it open at the same time."""
    from streamer.store.keys import load_key
    from streamer.store.store import Store

    with Store.open(config.store_path, load_key(config.data_dir, env=os.environ)) as store:
        yield store


@app.command("list")
def list_(
    config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """List who is enrolled.

    \b
    Example:
      voxwatch profiles list
    """
    with opened(configured(config, data_dir=data)) as store:
        profiles = store.profiles(time.time())
    if as_json:
        for profile in profiles:
            typer.echo(json.dumps(asdict(profile), ensure_ascii=False))
    elif profiles:
        typer.echo(_table(profiles))
    else:
        typer.echo("nobody is enrolled: voxwatch enroll NAME FILE", err=True)


@app.command()
def show(
    name: NameArgument,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one person's profile, without the voiceprint itself.

    \b
    Example:
      voxwatch profiles show alice
    """
    with opened(configured(config, data_dir=data)) as store:
        profile = store.profile(name, time.time())
    if as_json:
        typer.echo(json.dumps(asdict(profile), ensure_ascii=False))
        return
    rows = {
        "name": profile.name,
        "enrolled": _when(profile.created_at),
        "expires": _when(profile.expires_at),
        "prototypes": str(profile.prototypes),
        "speech": f"{profile.net_speech_s:.1f} s",
        "model": f"{profile.model_name} ({profile.model_sha256[:12]})",
        "consent": f"{_when(profile.consent.given_at)}, text {profile.consent.text_version}",
    }
    for key, value in rows.items():
        typer.echo(f"{key:11s}{value}")


@app.command()
def export(
    name: NameArgument,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Where it is written [standard output]."),
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Write everything that is kept of a person as JSON, the voiceprint too.

    The file can be read by you alone. Whoever has it has the voiceprint: it is not encrypted.

    \b
    Example:
      voxwatch profiles export alice --output alice.json
    """
    with opened(configured(config, data_dir=data)) as store:
        text = json.dumps(store.export(name, time.time()), ensure_ascii=False, indent=2)
    if output is None:
        typer.echo(text)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(output, flags, 0o600), "w", encoding="utf-8") as file:
        os.chmod(output, 0o600)  # also where the file was there before
        file.write(f"{text}\n")


@app.command()
def delete(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Delete a person's voiceprint for good.

    Exit status: 0 deleted; 1 not, as you said no; 2 error.

    \b
    Example:
      voxwatch profiles delete alice --yes
    """
    with opened(configured(config, data_dir=data)) as store:
        profile = store.profile(name, time.time())
        if not yes and not typer.confirm(f"Delete {profile.name} for good?"):
            raise typer.Exit(EXIT_NEGATIVE)
        store.delete(name)
    typer.echo(f"{profile.name} is deleted")


def _table(profiles: list[Profile]) -> str:
    rows = [("name", "speech", "prototypes", "enrolled", "expires")]
    for p in profiles:
        speech = f"{p.net_speech_s:.1f} s"
        rows.append((p.name, speech, str(p.prototypes), _when(p.created_at), _when(p.expires_at)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{width}s}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _when(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
