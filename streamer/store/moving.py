"""A store in SQLite goes over to PostgreSQL when the setting `database` first names it.

Its rows are copied as they are, in one transaction: they are sealed with the person keys, which
stay where they are. Then SQLite's file is put aside, so that nobody takes it for today's. Killed
before the commit all is as it was; killed after it, the next to open the store finishes.
"""

from __future__ import annotations

import os
import time

from sqlalchemy import delete, inspect

from streamer.database import reading, upgrade
from streamer.store import audit
from streamer.store.keys import STORE_FILE
from streamer.store.shred import sync_folder
from streamer.store.tables import HISTORY, METADATA, PEOPLE, STORE, copy_rows
from streamer.store.vault import Vault

MOVED = ".moved"


def can_move(vault: Vault) -> bool:
    """Whether the database is empty, and there is a store in SQLite beside the keys."""
    if not _is_elsewhere(vault) or not (vault.folder / STORE_FILE).exists():
        return False
    with vault.transaction(changing=False) as database:
        return not inspect(database).has_table(PEOPLE.name)


def move(old: Vault, vault: Vault) -> None:
    """Everything of ``old``. The caller has the lock of both, which is one."""
    detail = f"from {old.where} to {vault.where}"
    with vault.transaction() as database, reading(old.engine) as source:
        upgrade(database, HISTORY)
        database.execute(delete(STORE))
        for table in METADATA.sorted_tables:
            copy_rows(table, source, database)
        entry = audit.Entry(time.time(), audit.FINISHED, "move", detail=detail)
        audit.write(database, entry)


def put_aside(vault: Vault) -> None:
    """Rename SQLite's file, when its keys are another database's. The caller has the lock."""
    path = vault.folder / STORE_FILE
    if _is_elsewhere(vault) and path.exists():
        os.replace(path, path.with_name(path.name + MOVED))
        sync_folder(vault.folder)


def _is_elsewhere(vault: Vault) -> bool:
    return vault.engine.dialect.name != "sqlite"
