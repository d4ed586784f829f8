"""`voxwatch backup` and `voxwatch restore`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamer.commands.opened import opened, opened_records
from streamer.commands.options import EXIT_NEGATIVE, ConfigOption, DataOption, configured

if TYPE_CHECKING:
    from streamer.store.store import Store


@dataclass(frozen=True, kw_only=True)
class BackupCommand:
    """Write a copy of all that is kept, of one moment, while a server may run.

    Voiceprints, consents, exams, rosters, attempts of Open edX and LTI, and the record of streams.
    The store's key is not in it: keep that apart, see `voxwatch keys save`. Whoever is deleted
    later is still in the backup: keep backups for no longer than you may keep a person.

    \b
    Example:
      voxwatch backup monday.backup
    """

    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; a new file.")]
    config: ConfigOption = None
    data_dir: DataOption = None

    def run(self) -> None:
        """Write it, whole or not at all."""
        from streamer.backup.snapshot import Snapshot
        from streamer.records.opening import is_recorded
        from streamer.store.audit import Entry, local_user
        from streamer.store.backup import back_up

        config, rest = configured(self), ""
        with ExitStack() as stack:
            if is_recorded(config.database, config.data_dir):
                store, exams, book = stack.enter_context(opened_records(config))
                snapshot = Snapshot(exams, book)
                entry = Entry(store.now(), local_user(), "backup", detail=self.file.name)
                count = back_up(store.vault, self.file, entry, snapshot)
                rest = f", {snapshot.candidates} on rosters, {snapshot.streams} recorded streams"
            else:
                store = stack.enter_context(opened(config))
                entry = Entry(store.now(), local_user(), "backup", detail=self.file.name)
                count = back_up(store.vault, self.file, entry)
        key = "without the key, which is to be kept apart"
        typer.echo(f"{self.file}: {count} enrolled{rest}; {key}")


@dataclass(frozen=True, kw_only=True)
class RestoreCommand:
    """Bring a backup back, in place of everybody who is enrolled on this machine now.

    People come first, all or nothing, also when it is killed; they are encrypted anew with the key
    of this machine. Whom this machine's store knows to be deleted stays deleted. Then come exams,
    rosters and records that are lacking here, all or nothing, too: killed before that, restore
    again. Stop the server first where records come back. Exit status: 0 restored; 1 you said no.

    \b
    Examples:
      voxwatch restore voiceprints-monday.backup
      voxwatch restore voiceprints-monday.backup --key-file /media/safe/voxwatch.key
    """

    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `backup` wrote.")]
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file", metavar="FILE", help="The key of that time [this machine's of today]."
        ),
    ] = None
    voiceprints_only: Annotated[
        bool,
        typer.Option("--voiceprints-only", help="Leave exams, rosters and records as they are."),
    ] = False
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
    config: ConfigOption = None
    data_dir: DataOption = None

    def run(self) -> None:
        """Ask where people would be replaced, and restore."""
        from streamer.backup.restoration import Restoration
        from streamer.store.audit import Entry, local_user
        from streamer.store.backup import restore
        from streamer.store.keys import read_key

        config, who = configured(self), local_user()
        with self._opened() as store:
            key = store.vault.key if self.key_file is None else read_key(self.key_file)
            there = len(store.profiles(store.now()))
            if there and not self.yes:
                question = f"Replace the {there} enrolled by those of {self.file}?"
                if not typer.confirm(question):
                    raise typer.Exit(EXIT_NEGATIVE)
            entry = Entry(store.now(), who, "restore", detail=self.file.name)
            rest = Restoration(config.database, config.data_dir, store, who)
            if self.voiceprints_only:
                restored = restore(store.vault, self.file, key, entry)
            else:
                restored = restore(store.vault, self.file, key, entry, rest)
        typer.echo(f"{restored.people} enrolled")
        if restored.withheld:
            typer.echo(f"{restored.withheld} of the backup were deleted since, and stay so")
        if rest.streams or rest.candidates:
            typer.echo(f"{rest.candidates} on rosters, {rest.streams} recorded streams came back")

    @contextmanager
    def _opened(self) -> Iterator[Store]:
        """The store that is restored, which has to be whole or not there."""
        from streamer.store.errors import StoreError

        config = configured(self)
        with ExitStack() as stack:
            try:
                store = stack.enter_context(opened(config))
            except StoreError as error:
                raise StoreError(
                    f"{error}. To restore a backup here, first move people.keys, voiceprints.db and"
                    f" what begins like it out of {config.data_dir}, or name an empty database"
                ) from error
            yield store
