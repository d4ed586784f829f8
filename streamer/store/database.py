"""The SQLite file under the store: its tables, how it is opened, what its errors mean."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from streamer.store.errors import StoreError
from streamer.store.shred import sync_folder

APPLICATION_ID = 0x766F7857  # "voxW"
SCHEMA_VERSION = 2
SCHEMA = """
CREATE TABLE people (person BLOB PRIMARY KEY, sealed BLOB NOT NULL) STRICT;
CREATE TABLE enrolments (
    person BLOB NOT NULL REFERENCES people ON DELETE CASCADE,
    number INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (person, number)
) STRICT;
CREATE TABLE gone (  -- so that no backup brings them back
    person BLOB PRIMARY KEY
) STRICT;
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    who TEXT NOT NULL,
    act TEXT NOT NULL,
    person BLOB,  -- told by name as long as they are enrolled
    detail TEXT NOT NULL
) STRICT
"""
SETTINGS = (
    "synchronous = FULL",  # a commit is on the disk before it returns
    "secure_delete = ON",  # what is deleted is overwritten with zeros
    "foreign_keys = ON",
    "temp_store = MEMORY",
    "trusted_schema = OFF",
)


BUSY_PAUSE_S = 0.01


def connect(path: Path, busy_s: float) -> sqlite3.Connection:
    """The file at ``path``, empty if there was none; see :func:`prepare`."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix" and path.parent.stat().st_mode & stat.S_IWOTH:
        raise StoreError(
            f"everybody may write to {path.parent}, and so replace the store or its keys: run"
            f" `chmod 700 {path.parent}`"
        )
    existed = path.exists()
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite's other files follow its mode
    if not existed:
        sync_folder(path.parent)
    database = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    database.row_factory = sqlite3.Row
    return database


def prepare(database: sqlite3.Connection, path: Path) -> int:
    """Set the connection up; the version of the tables, 0 where there are none yet."""
    version = _version(database, path)
    if _keep_log(database) != "wal":
        raise StoreError(f"the file system of {path} cannot hold the store: use a local folder")
    for setting in SETTINGS:
        database.execute(f"PRAGMA {setting}")
    return version


def check_whole(database: sqlite3.Connection, path: Path) -> None:
    """Raise :class:`StoreError` where the file is damaged."""
    if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise damaged(path)


def create(database: sqlite3.Connection) -> None:
    """Make the tables, within a transaction."""
    for statement in SCHEMA.split(";\n"):
        database.execute(statement)
    database.execute(
        "CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID"
    )
    about = {"store_id": secrets.token_bytes(16), "version": 0}
    database.executemany("INSERT OR IGNORE INTO about VALUES (?, ?)", about.items())
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def shorten_log(database: sqlite3.Connection) -> None:
    """Bring the write-ahead log into the file, as far as no reader prevents it; waits for none."""
    with contextlib.suppress(sqlite3.Error):  # what is in the log is as safe as in the file
        database.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _version(database: sqlite3.Connection, path: Path) -> int:
    # In this order: who finds tables finds the mark of whoever made them in the same moment.
    filled = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    application = database.execute("PRAGMA application_id").fetchone()[0]
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID and filled:
        raise StoreError(f"{path} is the database of another program: choose another data_dir")
    if application != APPLICATION_ID:
        return 0
    if not 1 <= version <= SCHEMA_VERSION:
        raise StoreError(
            f"{path} was made by another version of voxwatch (store version {version}, this one"
            f" reads up to {SCHEMA_VERSION}): use that version"
        )
    return version


def _keep_log(database: sqlite3.Connection) -> str:
    """Change to a write-ahead log, and the mode there is then.

    Where two make that change together SQLite answers one of them "busy" at once, without
    the wait that it keeps to elsewhere (https://sqlite.org/c3ref/busy_handler.html).
    """
    wait_ms: int = database.execute("PRAGMA busy_timeout").fetchone()[0]
    deadline = time.monotonic() + wait_ms / 1000
    while True:
        try:
            return str(database.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(BUSY_PAUSE_S)


def roll_back(database: sqlite3.Connection) -> None:
    """Undo the transaction, if SQLite has not done so (it does when the disk is full)."""
    if database.in_transaction:
        database.execute("ROLLBACK")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Errors of SQLite and of the system as one line of :class:`StoreError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explanation(error, path) from error
    except OSError as error:
        raise _failure(error, path) from error


def _failure(error: OSError, path: Path) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(f"no room for the store {path}: the disk is full; make room")
    place = error.filename or path
    return StoreError(
        f"cannot read or write the store {path}: {place}: {error.strerror}; check the path and its"
        " permissions"
    )


def _explanation(error: sqlite3.Error, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", None)
    match None if code is None else code & 0xFF:  # the rest of the code says more than is needed
        case sqlite3.SQLITE_NOTADB:
            return StoreError(
                f"{path} is not a store of voiceprints: restore it from a backup, or move it away"
            )
        case sqlite3.SQLITE_CORRUPT:
            return damaged(path)
        case sqlite3.SQLITE_FULL:
            return StoreError(f"no room for the store {path}: the disk is full; make room")
        case sqlite3.SQLITE_IOERR:
            return StoreError(
                f"reading or writing the store {path} failed ({error}): check the disk and its room"
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return StoreError(f"cannot write the store {path}: check the folder's permissions")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreError(
                f"another program keeps the store {path} locked: wait for it or stop it"
            )
    return StoreError(f"the store {path} failed: {error}")


def damaged(path: Path) -> StoreError:
    return StoreError(
        f"the store {path} is damaged: restore it from a backup, or move it away and enrol again"
    )
