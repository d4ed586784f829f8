"""A copy of the store in one file, without the store's key, and how it comes back.

What else is in the file lies above the store: `streamer.backup`.

Whoever has the file and the store's key of its time has the voiceprints of everybody in it, also
of those who are deleted afterwards: `streamer.store.backup_file`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, select

from streamer.database import copy_rows, explained
from streamer.store import audit, backup_file
from streamer.store.errors import StoreError, WrongKey
from streamer.store.people import People, Person
from streamer.store.person_keys import PersonKeys
from streamer.store.replacement import replace
from streamer.store.seal import BrokenSeal
from streamer.store.shred import sync_folder
from streamer.store.tables import AUDIT
from streamer.store.vault import Vault

WHAT = "backup"
PART = ".part"

# Entered while nobody else writes, it gives what copies the rest as it was at that moment.
Snapshot = Callable[[], AbstractContextManager[Callable[[Connection], None]]]
# Entered with an old backup and its key before anything is changed, it gives what brings back the
# rest once people are back.
Rest = Callable[[Connection, bytes], AbstractContextManager[Callable[[], None]]]


@contextlib.contextmanager
def _nothing_else() -> Iterator[Callable[[Connection], None]]:
    yield lambda _: None


@contextlib.contextmanager
def _no_rest(_: Connection, __: bytes) -> Iterator[Callable[[], None]]:
    yield lambda: None


class Restored(NamedTuple):
    """How many came back, and how many did not, as they were deleted since."""

    people: int
    withheld: int


def back_up(
    vault: Vault, target: Path, entry: audit.Entry, snapshot: Snapshot = _nothing_else
) -> int:
    """Write ``target``, whole or not at all; how many people are in it.

    All is of one moment, and nobody waits while what ``snapshot`` has seen is copied. Raises
    :class:`StoreError`, also where there is such a file.
    """
    if target.exists():
        raise StoreError(f"{target} is there already: choose another name")
    part = target.with_name(target.name + PART)
    with vault.writing() as people:
        audit.write(people.database, entry)
        count = len(people.keys.people & people.numbers())
    with explained(str(target), WHAT, StoreError), contextlib.ExitStack() as moment:
        with vault.exclusively():
            part.unlink(missing_ok=True)  # of one that was killed
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            copy_rest = moment.enter_context(snapshot())
            with vault.transaction(changing=False) as database:
                content = vault.current_keys().content()
                backup_file.write(part, database, vault.about().store_id, content)
        with backup_file.extended(part) as copy:
            copy_rest(copy)
        os.replace(part, target)
        sync_folder(target.parent)
    return count


def restore(
    vault: Vault, source: Path, key: bytes, entry: audit.Entry, rest: Rest = _no_rest
) -> Restored:
    """Everybody of a backup in place of those who are there, encrypted anew; all or nothing.

    ``key`` is the one that the store had when the backup was made. Whom this store knows to be
    deleted stays so. What else is in the backup comes back after the people: a record whose people
    are not there is forgotten. Raises :class:`StoreError`.
    """
    with (
        explained(str(source), WHAT, StoreError),
        backup_file.opened(source) as old,
        contextlib.ExitStack() as stack,
    ):
        backup = _people(old, source, key)
        bring_back_rest = stack.enter_context(rest(old, key))
        people = backup.all()
        withheld = 0

        def kept() -> list[Person]:
            nonlocal withheld
            with vault.transaction() as database:
                ours = vault.people(vault.current_keys())
                ours.note_gone(backup.gone())
                gone = ours.gone()
                _continue_audit(database, old)
            withheld = sum(person.number in gone for person in people)
            return [person for person in people if person.number not in gone]

        with vault.exclusively():
            vault.finish_replacement()
            replace(vault, kept, vault.key, entry)
        bring_back_rest()
    return Restored(len(people) - withheld, withheld)


def _people(old: Connection, source: Path, key: bytes) -> People:
    content, store_id = backup_file.person_keys(old), backup_file.store_id(old)
    try:
        return People(old, PersonKeys(source, content, key), store_id)
    except BrokenSeal as error:
        raise WrongKey(
            f"this key is not the one that the store had when {source} was made: give that one"
            " with --key-file"
        ) from error


def _continue_audit(database: Connection, old: Connection) -> None:
    """A new store goes on with the audit log of the backup."""
    if database.execute(select(AUDIT.c.number)).first() is None:
        copy_rows(AUDIT, old, database)
