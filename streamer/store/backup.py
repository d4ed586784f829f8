"""A copy of the store in one file, without the store's key, and how it comes back.

The file is a SQLite database of its own kind: the store's tables of one moment, and the person keys
of the same moment, which only the store's key opens. Whoever has both has the voiceprints of
everybody in it, also of those who are deleted afterwards.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from streamer.store import audit
from streamer.store.database import explained
from streamer.store.errors import StoreError, WrongKey
from streamer.store.people import People, Person
from streamer.store.person_keys import PersonKeys
from streamer.store.replacement import replace
from streamer.store.seal import BrokenSeal
from streamer.store.shred import sync_folder
from streamer.store.vault import Vault

APPLICATION_ID = 0x766F7842  # "voxB"
PART = ".part"


class Restored(NamedTuple):
    """How many came back, and how many did not, as they were deleted since."""

    people: int
    withheld: int


def back_up(vault: Vault, target: Path, entry: audit.Entry) -> int:
    """Write ``target``, whole or not at all; how many people are in it.

    Raises :class:`StoreError`, also where there is such a file.
    """
    if target.exists():
        raise StoreError(f"{target} is there already: choose another name")
    part = target.with_name(target.name + PART)
    with vault.writing() as people:
        audit.write(vault.database, entry)
        count = len(people.keys.people & people.numbers())
    with explained(target), vault.exclusively():
        part.unlink(missing_ok=True)  # of one that was killed
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        vault.database.execute("VACUUM INTO ?", (str(part),))
        _complete(part, vault.current_keys().content())
        os.replace(part, target)
        sync_folder(target.parent)
    return count


def restore(vault: Vault, source: Path, key: bytes, entry: audit.Entry) -> Restored:
    """Everybody of a backup in place of those who are there, encrypted anew; all or nothing.

    ``key`` is the one that the store had when the backup was made. Whom this store knows to be
    deleted stays so. Raises :class:`StoreError`.
    """
    with explained(source), _opened(source) as old:
        people = _people(old, source, key).all()
        withheld = 0

        def kept() -> list[Person]:
            nonlocal withheld
            vault.database.executemany(
                "INSERT OR IGNORE INTO gone VALUES (?)", old.execute("SELECT person FROM gone")
            )
            gone = {row[0] for row in vault.database.execute("SELECT person FROM gone")}
            _continue_audit(vault.database, old)
            withheld = sum(person.number in gone for person in people)
            return [person for person in people if person.number not in gone]

        with vault.exclusively():
            vault.finish_replacement()
            replace(vault, kept, vault.key, entry)
    return Restored(len(people) - withheld, withheld)


def _complete(part: Path, keys: bytes) -> None:
    with contextlib.closing(sqlite3.connect(part)) as database, database:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("CREATE TABLE person_keys (content BLOB NOT NULL) STRICT")
        database.execute("INSERT INTO person_keys VALUES (?)", (keys,))
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    with part.open("rb") as file:
        os.fsync(file.fileno())


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[sqlite3.Connection]:
    if not source.is_file():
        raise StoreError(f"{source} is no file: give the one that `voxwatch backup` wrote")
    uri = f"{source.absolute().as_uri()}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
        database.row_factory = sqlite3.Row
        try:
            ours = database.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
            whole = ours and database.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{source} is no backup, or a damaged one") from error
        if not whole:
            raise StoreError(f"{source} is no backup, or a damaged one")
        yield database


def _people(database: sqlite3.Connection, source: Path, key: bytes) -> People:
    content = database.execute("SELECT content FROM person_keys").fetchone()[0]
    store_id = database.execute("SELECT value FROM about WHERE name = 'store_id'").fetchone()[0]
    try:
        return People(database, PersonKeys(source, content, key), store_id)
    except BrokenSeal as error:
        raise WrongKey(
            f"this key is not the one that the store had when {source} was made: give that one"
            " with --key-file"
        ) from error


def _continue_audit(database: sqlite3.Connection, old: sqlite3.Connection) -> None:
    """A new store goes on with the audit log of the backup."""
    if database.execute("SELECT 1 FROM audit").fetchone() is None:
        rows = old.execute("SELECT at, who, act, person, detail FROM audit ORDER BY number")
        database.executemany(
            "INSERT INTO audit (at, who, act, person, detail) VALUES (?, ?, ?, ?, ?)", rows
        )
