"""`voxwatch profiles ...`: who is enrolled in the store on this machine."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamer.commands.opened import forget_the_deleted, opened, opened_records
from streamer.commands.options import (
    EXIT_NEGATIVE,
    ConfigOption,
    DataOption,
    JsonOption,
    configured,
)
from streamer.commands.private_file import private_file

if TYPE_CHECKING:
    from streamer.config import Config
    from streamer.store.errors import StoreError
    from streamer.store.profile import Profile

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="List, show, export and delete voiceprints."
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="As `profiles list` says.")]


@app.command("list")
@dataclass(frozen=True, kw_only=True)
class ListCommand:
    """List who is enrolled.

    \b
    Example:
      voxwatch profiles list
    """

    config: ConfigOption = None
    data_dir: DataOption = None
    as_json: JsonOption = False

    def run(self) -> None:
        """Print a line a person."""
        with opened(configured(self)) as store:
            profiles = store.profiles(store.now())
        if self.as_json:
            for profile in profiles:
                typer.echo(json.dumps(asdict(profile), ensure_ascii=False))
        elif profiles:
            typer.echo(_listed(profiles))
        else:
            typer.echo("nobody is enrolled: voxwatch enroll NAME FILE", err=True)


@app.command("show")
@dataclass(frozen=True, kw_only=True)
class ShowCommand:
    """Show one person's profile, without the voiceprint itself.

    \b
    Example:
      voxwatch profiles show alice
    """

    name: NameArgument
    config: ConfigOption = None
    data_dir: DataOption = None
    as_json: JsonOption = False

    def run(self) -> None:
        """Print it, a line a field."""
        with opened(configured(self)) as store:
            profile = store.profile(self.name, store.now())
        if self.as_json:
            typer.echo(json.dumps(asdict(profile), ensure_ascii=False))
            return
        rows = {
            "name": profile.name,
            "enrolled": when(profile.created_at),
            "expires": when(profile.expires_at),
            "prototypes": str(profile.prototypes),
            "speech": f"{profile.net_speech_s:.1f} s",
            "model": f"{profile.model_name} ({profile.model_sha256[:12]})",
            "consent": f"{when(profile.consent.given_at)}, text {profile.consent.text_version}",
        }
        for key, value in rows.items():
            typer.echo(f"{key:11s}{value}")


@app.command("export")
@dataclass(frozen=True, kw_only=True)
class ExportCommand:
    """Write everything that is kept of a person as JSON: a copy for them, when they ask for it.

    Voiceprint, consents with their texts, places on rosters, the record of every stream in which
    they were claimed or recognised, and who saw or exported it; other people are not named in it.
    NAME may be their number on a roster, too, unless several people have it. The file can be read
    by you alone. Whoever has it has the voiceprint: it is not encrypted.

    \b
    Example:
      voxwatch profiles export alice --output alice.json
    """

    name: NameArgument
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Where it is written [standard output]."),
    ] = None
    config: ConfigOption = None
    data_dir: DataOption = None

    def run(self) -> None:
        """Print it, or write the file."""
        from streamer.reports.subject_access import held_of
        from streamer.store.audit import local_user

        with opened_records(configured(self)) as (store, exams, book):
            kept = chain(held_of(self.name, store, exams, book, local_user()), ["\n"])
            if self.output is None:
                for piece in kept:
                    typer.echo(piece, nl=False)
                return
            with private_file(self.output) as file:
                for piece in kept:
                    file.write(piece.encode())


@app.command("delete")
@dataclass(frozen=True, kw_only=True)
class DeleteCommand:
    """Delete a person for good, also where the store is damaged or the disk full.

    Their voiceprint and what names them on rosters; of their records `records_on_deletion` says
    what becomes. NAME may be their number on a roster, too, unless several people have it.

    Exit status: 0 deleted; 1 not, as you said no; 2 error.

    \b
    Example:
      voxwatch profiles delete alice --yes
    """

    name: NameArgument
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
    config: ConfigOption = None
    data_dir: DataOption = None

    def run(self) -> None:
        """Ask, unless told not to, and delete."""
        from streamer.store.errors import StoreError, UnknownSpeaker

        config = configured(self)
        try:
            name = self._delete(config)
        except UnknownSpeaker:
            raise
        except StoreError as error:
            name = self._erase(config, error)
        else:
            forget_the_deleted(config)
        typer.echo(f"{name} is deleted")

    def _delete(self, config: Config) -> str:
        """The voiceprint, if there is one, and then what names them on rosters; whose it was."""
        from streamer.exams.opening import open_exams
        from streamer.reports.subject_access import who_is_called
        from streamer.store.audit import local_user
        from streamer.store.errors import UnknownSpeaker

        with opened(config) as store:
            name = ""
            with contextlib.suppress(UnknownSpeaker):
                name = store.profile(self.name, store.now()).name
                self._confirm(name)
                store.delete(name)
            with open_exams(config.database, config.data_dir, store) as exams:
                if not name:
                    name, _ = who_is_called(self.name, store, exams)
                    self._confirm(name)
                    with contextlib.suppress(UnknownSpeaker):
                        store.delete(name)
                exams.forget_voiceprint(name, local_user(), store.now())
        return name

    def _confirm(self, name: str) -> None:
        if not self.yes and not typer.confirm(f"Delete {name} for good?"):
            raise typer.Exit(EXIT_NEGATIVE)

    def _erase(self, config: Config, error: StoreError) -> str:
        """Destroy the person's key though the store cannot be opened, and say why it cannot."""
        from streamer.store.keys import load_key
        from streamer.store.opening import erase
        from streamer.store.profile import clean_name

        name = clean_name(self.name)
        typer.echo(f"the store cannot be opened: {error}", err=True)
        self._confirm(name)
        erase(config.data_dir, load_key(config.data_dir, env=os.environ), name)
        return name


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{width}s}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def when(seconds: float | None) -> str:
    """A time in seconds since 1970, for people."""
    if seconds is None:
        return "never"
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _listed(profiles: list[Profile]) -> str:
    rows = [("name", "speech", "prototypes", "enrolled", "expires")]
    for p in profiles:
        speech = f"{p.net_speech_s:.1f} s"
        rows.append((p.name, speech, str(p.prototypes), when(p.created_at), when(p.expires_at)))
    return table(rows)
