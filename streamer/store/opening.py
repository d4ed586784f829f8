"""How a store is opened: made, brought over or finished where need be, and checked."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from streamer.database import (
    BUSY_S,
    check_whole,
    explained,
    file_before,
    load_alembic,
    make_folder,
    migrate,
    open_database,
    reading,
    shorten_log,
    upgrade,
)
from streamer.store import audit
from streamer.store.errors import Inconsistent, StoreError
from streamer.store.folder_lock import FolderLock
from streamer.store.keys import PERSON_KEYS_FILE, STORE_FILE
from streamer.store.older_format import bring_over
from streamer.store.people import Person, unknown
from streamer.store.person_keys import LIVE, PENDING, PersonKeys
from streamer.store.profile import clean_name
from streamer.store.replacement import replace
from streamer.store.seal import BrokenSeal
from streamer.store.tables import HISTORY, PEOPLE
from streamer.store.vault import WHAT, Vault


def open_vault(
    folder: Path, database: str | None, key: bytes, busy_s: float, *, repair: bool = False
) -> Vault:
    """The store of ``folder``, made if there is none; see :meth:`.store.Store.open`.

    ``repair`` gives up what cannot be read instead of raising :class:`Inconsistent`.
    """
    lock = FolderLock(folder, busy_s)
    vault = _vault(folder, database, key, lock, busy_s)
    try:
        with vault.explained():
            # Whose database it is, is told before anything is made beside it.
            if "people" not in _tables(vault.engine):
                load_alembic()  # for which nobody is to wait who opens the store, too
        with vault.exclusively():
            if _can_move(vault):
                with contextlib.closing(_vault(folder, None, key, lock, busy_s)) as old:
                    _prepare_move(old, vault, repair)
                migrate(vault.engine, HISTORY)
            _settle(vault, repair)
        return vault
    except BaseException:
        vault.close()
        raise


def _vault(
    folder: Path, database: str | None, key: bytes, lock: FolderLock, busy_s: float
) -> Vault:
    with explained(str(folder), WHAT, StoreError):
        make_folder(folder)  # for the keys, which lie there wherever the database does
        engine = open_database(database, folder, STORE_FILE, busy_s=busy_s)
    return Vault(folder, engine, key, lock)


def _can_move(vault: Vault) -> bool:
    """Whether a store in SQLite lies beside the keys, and none in PostgreSQL, which is to have it.

    Its rows are sealed with the person keys, which stay where they are.
    """
    before = file_before(vault.engine)
    if before is None or not before.exists() or "people" in _tables(vault.engine):
        return False
    engine = open_database(None, before.parent, before.name)
    try:
        return bool({"people", "profiles"} & _tables(engine))
    finally:
        engine.dispose()


def _prepare_move(old: Vault, vault: Vault, repair: bool) -> None:
    """Have the store in SQLite whole and of today's form, and note where it goes."""
    detail = f"from {old.where} to {vault.where}"
    with old.explained():
        _settle(old, repair)
        with old.transaction() as database:
            audit.write(database, audit.Entry(time.time(), audit.FINISHED, "move", detail=detail))


def _settle(vault: Vault, repair: bool) -> None:
    check_whole(vault.engine, WHAT)
    tables = _tables(vault.engine)
    if "people" not in tables and vault.key_path.exists():
        raise Inconsistent(
            f"{vault.key_path} is there, but its database {vault.where} is not, or is an older one:"
            " copy both, or move both away to begin anew"
        )
    if "profiles" in tables:
        bring_over(vault, time.time())
    elif "people" in tables:
        migrate(vault.engine, HISTORY)
    else:
        replace(vault, lambda: _nobody(vault), vault.key, None)
    vault.finish_replacement()
    keys = vault.keys()
    if keys is None:
        raise vault.apart()
    vault.finish_rotation()
    _finish(vault, keys)
    _check(vault, keys, repair)
    shorten_log(vault.engine)


def _tables(engine: Engine) -> set[str]:
    with reading(engine) as database:
        return set(inspect(database).get_table_names())


def _nobody(vault: Vault) -> Sequence[Person]:
    with vault.transaction() as database:
        upgrade(database, HISTORY)
    return ()


def _finish(vault: Vault, keys: PersonKeys) -> None:
    """What was interrupted between a key and its rows."""
    there = _numbers(vault)
    for person in keys.with_state(PENDING):
        if person in there:
            keys.confirm(person)
        else:
            keys.destroy(person)


def _check(vault: Vault, keys: PersonKeys, repair: bool) -> None:
    """Whether all keys have their rows; rows without a key are of people who were deleted."""
    damaged, lost = keys.damaged(), keys.with_state(LIVE) - _numbers(vault)
    older = keys.generation < vault.about().generation
    if repair:
        _give_up(vault, keys, damaged, lost)
    elif damaged:
        raise Inconsistent(
            f"{vault.key_path} is damaged: the keys of {len(damaged)} people cannot be read;"
            " restore a backup, or give them up with `voxwatch keys repair`"
        )
    elif older:
        raise vault.older()
    elif lost:
        raise _lacking(vault, len(lost), len(keys.people))
    with contextlib.suppress(SQLAlchemyError):  # a full disk: what cannot be read can wait there
        _remove_residues(vault, keys)


def _lacking(vault: Vault, lost: int, people: int) -> Inconsistent:
    cause, advice = "was it copied without its log, voiceprints.db-wal", "Copy both"
    if vault.engine.dialect.name == "postgresql":
        cause, advice = "is it of an earlier moment than they", "Bring back today's"
    return Inconsistent(
        f"{vault.where} lacks {lost} of the {people} people who have keys: {cause}? {advice}, or"
        " restore a backup; `voxwatch keys repair` gives them up"
    )


def _give_up(
    vault: Vault, keys: PersonKeys, damaged: Sequence[int], lost: frozenset[bytes]
) -> None:
    """Clear what cannot be read; their rows, where there are any, go as residues."""
    for row in damaged:
        keys.clear(row)
    for person in lost & keys.people:
        keys.destroy(person)
    residues = len(_numbers(vault) - keys.people)
    detail = f"{len(damaged)} damaged keys, {len(lost)} keys without rows, {residues} rows without"
    entry = audit.Entry(time.time(), audit.local_user(), "repair", detail=f"{detail} keys")
    with vault.transaction() as database:
        audit.write(database, entry)


def _remove_residues(vault: Vault, keys: PersonKeys) -> None:
    """Remove the rows whose key is destroyed."""
    if _numbers(vault) <= keys.people:
        return
    with vault.transaction():
        vault.people(keys).remove_residues()
        vault.note_change(keys)


def _numbers(vault: Vault) -> frozenset[bytes]:
    with vault.transaction(changing=False) as database:
        return frozenset(database.execute(select(PEOPLE.c.person)).scalars())


def erase(folder: Path, key: bytes, name: str, *, busy_s: float = BUSY_S) -> None:
    """Destroy a person's key though their store cannot be opened: it is full, or damaged.

    The audit log has it as soon as the store opens again.

    Raises :class:`~streamer.store.errors.UnknownSpeaker`, :class:`StoreError`.
    """
    with explained(str(folder), WHAT, StoreError), FolderLock(folder, busy_s).held():
        keys_path = folder / PERSON_KEYS_FILE
        try:
            keys = PersonKeys.read(keys_path, key)
        except BrokenSeal as error:
            raise StoreError(f"this key is not the one of {keys_path}: restore it") from error
        person = keys.find(clean_name(name))
        if person is None:
            raise unknown(name)
        keys.delete(audit.Entry(time.time(), audit.local_user(), "delete", person))
