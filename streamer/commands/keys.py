"""`voxwatch keys ...`: the key that the store of this machine is encrypted with."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from streamer.commands.opened import opened
from streamer.commands.options import EXIT_NEGATIVE, ConfigOption, DataOption, configured

NEW_KEY_VARIABLE = "VOXWATCH_NEW_KEY"

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Rotate, save and repair the store's keys."
)


@app.command("rotate")
@dataclass(frozen=True, kw_only=True)
class RotateCommand:
    """Encrypt the store anew, with another key for it and for everybody in it.

    The old keys are overwritten. Killed in the middle, the store is as before, or the next
    command that opens it finishes. A server that runs goes on. Backups that were made before
    need the key of that time: save it with `voxwatch keys save` before. Where VOXWATCH_KEY has
    the key, VOXWATCH_NEW_KEY gives the new one, which then has to take its place.

    \b
    Example:
      voxwatch keys rotate
    """

    config: ConfigOption = None
    data_dir: DataOption = None

    def run(self) -> None:
        """Rotate, and say what is to be done."""
        from engine.errors import VoxwatchError
        from streamer.exams.opening import open_exams
        from streamer.records.opening import is_recorded, open_book
        from streamer.store.audit import Entry, local_user
        from streamer.store.keys import KEY_VARIABLE, MAKE_ONE, decode
        from streamer.store.rotation import rotate

        key = None
        if os.environ.get(KEY_VARIABLE, "").strip():
            given = os.environ.get(NEW_KEY_VARIABLE, "").strip()
            if not given:
                raise VoxwatchError(
                    f"{KEY_VARIABLE} has the key: give the new one as {NEW_KEY_VARIABLE};"
                    f" {MAKE_ONE}"
                )
            key = decode(given, f"the environment variable {NEW_KEY_VARIABLE}")
        config = configured(self)
        with opened(config) as store, ExitStack() as stack:
            exams = stack.enter_context(open_exams(config.database, config.data_dir, store))
            others: list[Callable[[bytes], None]] = [exams.rewrap]
            if recorded := is_recorded(config.database, config.data_dir):
                book = open_book(config.database, config.data_dir, store.vault.key)
                stack.callback(book.close)
                others.append(book.rewrap)
            rotate(store.vault, Entry(store.now(), local_user(), "rotate"), key, others)
            if recorded:  # whoever opens it next puts the new secret in the place of the old
                open_book(config.database, config.data_dir, store.vault.key).close()
            count = len(store.profiles(store.now()))
        typer.echo(f"the store has another key: {count} enrolled, all encrypted anew")
        if key is not None:
            typer.echo(f"set {KEY_VARIABLE} to the new key, and restart what has the old one")


@app.command("save")
@dataclass(frozen=True, kw_only=True)
class SaveCommand:
    """Write the store's key to a file, to be kept apart from the store and its backups.

    \b
    Example:
      voxwatch keys save /media/safe/voxwatch.key
    """

    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; a new file.")]
    config: ConfigOption = None
    data_dir: DataOption = None

    def run(self) -> None:
        """Write it, for its owner only."""
        from engine.errors import VoxwatchError
        from streamer.store.audit import Entry, local_user
        from streamer.store.keys import write_key

        if self.file.exists():
            raise VoxwatchError(f"{self.file} is there already: choose another name")
        with opened(configured(self)) as store:
            store.note(Entry(store.now(), local_user(), "save key", detail=self.file.name))
            write_key(self.file, store.vault.key)
        typer.echo(f"{self.file}: whoever has it and the store, or a backup, can read it all")


@app.command("repair")
@dataclass(frozen=True, kw_only=True)
class RepairCommand:
    """Give up whatever cannot be read any more, so that the store opens again.

    For a store that says at its opening that keys are damaged or lacking, or people without their
    rows. A backup may bring them back; this cannot. Exit status: 0 repaired; 1 you said no.

    \b
    Example:
      voxwatch keys repair --yes
    """

    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
    config: ConfigOption = None
    data_dir: DataOption = None

    def run(self) -> None:
        """Ask, unless told not to, and repair."""
        from streamer.store.store import Store

        config = configured(self)
        if not self.yes and not typer.confirm("Give up whatever cannot be read any more?"):
            raise typer.Exit(EXIT_NEGATIVE)
        with Store.in_folder(config.data_dir, config.database, os.environ, repair=True) as store:
            (repaired,) = [act for act in store.acts() if act.act == "repair"][-1:]
            typer.echo(f"given up: {repaired.detail}")
            typer.echo(f"{len(store.profiles(store.now()))} enrolled")
