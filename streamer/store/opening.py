"""How a store is opened: made, brought over or finished where need be, and checked."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from streamer.store import audit
from streamer.store.database import check_whole, connect, create, explained, prepare, shorten_log
from streamer.store.errors import Inconsistent, StoreError
from streamer.store.folder_lock import FolderLock
from streamer.store.keys import PERSON_KEYS_FILE
from streamer.store.older_format import bring_over
from streamer.store.people import Person, unknown
from streamer.store.person_keys import LIVE, PENDING, PersonKeys
from streamer.store.profile import clean_name
from streamer.store.replacement import replace
from streamer.store.seal import BrokenSeal
from streamer.store.vault import Vault

BUSY_S = 5.0  # another process may be writing for as long as an enrolment takes to be synced


def open_vault(path: Path, key: bytes, busy_s: float, *, repair: bool = False) -> Vault:
    """The store at ``path``, made if there is none; see :meth:`streamer.store.store.Store.open`.

    ``repair`` gives up what cannot be read instead of raising :class:`Inconsistent`.
    """
    with explained(path):
        database = connect(path, busy_s)
        try:
            prepare(database, path)
            vault = Vault(path, database, key, busy_s)
            with vault.exclusively():
                _settle(vault, repair)
            return vault
        except BaseException:
            database.close()
            raise


def _settle(vault: Vault, repair: bool) -> None:
    version = prepare(vault.database, vault.path)  # another process may have been quicker
    if version < 2 and vault.key_path.exists():
        raise Inconsistent(
            f"{vault.key_path} is there, but its database {vault.path} is not, or is an older one:"
            " copy both, or move both away to begin anew"
        )
    if version == 0:
        replace(vault, lambda: _nobody(vault), vault.key, None)
    check_whole(vault.database, vault.path)
    if version == 1:
        bring_over(vault, time.time())
    vault.finish_replacement()
    keys = vault.keys()
    if keys is None:
        raise vault.apart()
    vault.finish_rotation()
    _finish(vault, keys)
    _check(vault, keys, repair)
    shorten_log(vault.database)


def _nobody(vault: Vault) -> Sequence[Person]:
    create(vault.database)
    return ()


def _finish(vault: Vault, keys: PersonKeys) -> None:
    """What was interrupted between a key and its rows."""
    there = _numbers(vault.database)
    for person in keys.with_state(PENDING):
        if person in there:
            keys.confirm(person)
        else:
            keys.destroy(person)


def _check(vault: Vault, keys: PersonKeys, repair: bool) -> None:
    """Whether all keys have their rows; rows without a key are of people who were deleted."""
    damaged, lost = keys.damaged(), keys.with_state(LIVE) - _numbers(vault.database)
    older = keys.generation < vault.about("generation")
    if repair:
        _give_up(vault, keys, damaged, lost)
    elif damaged:
        raise Inconsistent(
            f"{vault.key_path} is damaged: the keys of {len(damaged)} people cannot be read;"
            " restore a backup, or give them up with `voxwatch keys repair`"
        )
    elif older:
        raise Inconsistent(
            f"{vault.key_path} is older than {vault.path}: copy both of one moment, or restore a"
            " backup; `voxwatch keys repair` gives up those whose keys it lacks"
        )
    elif lost:
        raise Inconsistent(
            f"{vault.path} lacks {len(lost)} of the {len(keys.people)} people who have keys: was it"
            " copied without its log, voiceprints.db-wal? Copy both, or restore a backup;"
            " `voxwatch keys repair` gives them up"
        )
    with contextlib.suppress(sqlite3.Error):  # a full disk: what cannot be read can wait there
        _remove_residues(vault, keys)


def _give_up(
    vault: Vault, keys: PersonKeys, damaged: Sequence[int], lost: frozenset[bytes]
) -> None:
    """Clear what cannot be read; their rows, where there are any, go as residues."""
    for row in damaged:
        keys.clear(row)
    for person in lost & keys.people:
        keys.destroy(person)
    residues = len(_numbers(vault.database) - keys.people)
    detail = f"{len(damaged)} damaged keys, {len(lost)} keys without rows, {residues} rows without"
    with vault.transaction("BEGIN IMMEDIATE"):
        audit.write(
            vault.database,
            audit.Entry(time.time(), audit.local_user(), "repair", detail=f"{detail} keys"),
        )


def _remove_residues(vault: Vault, keys: PersonKeys) -> None:
    """Remove the rows whose key is destroyed."""
    people = vault.people(keys)
    if people.numbers() <= keys.people:
        return
    with vault.transaction("BEGIN IMMEDIATE"):
        people.remove_residues()
        vault.note_change(keys)


def _numbers(database: sqlite3.Connection) -> frozenset[bytes]:
    return frozenset(row[0] for row in database.execute("SELECT person FROM people"))


def erase(path: Path, key: bytes, name: str, *, busy_s: float = BUSY_S) -> None:
    """Destroy a person's key though their store cannot be opened: it is full, or damaged.

    The audit log has it as soon as the store opens again.

    Raises :class:`~streamer.store.errors.UnknownSpeaker`, :class:`StoreError`.
    """
    with explained(path), FolderLock(path.parent, busy_s).held():
        keys_path = path.with_name(PERSON_KEYS_FILE)
        try:
            keys = PersonKeys.read(keys_path, key)
        except BrokenSeal as error:
            raise StoreError(f"this key is not the one of {keys_path}: restore it") from error
        person = keys.find(clean_name(name))
        if person is None:
            raise unknown(name)
        keys.delete(audit.Entry(time.time(), audit.local_user(), "delete", person))
