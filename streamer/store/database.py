"""The SQLite file under the store: its tables, how it is opened, what its errors mean."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from streamer.store.errors import StoreError
from streamer.store.keys import sync_folder
from streamer.store.seal import BrokenSeal, Seal

APPLICATION_ID = 0x766F7857  # "voxW"
SCHEMA_VERSION = 1
KEY_CHECK = b"voxwatch"
SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE profiles (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice: seals are bound to it
    name TEXT NOT NULL UNIQUE,
    created_at REAL NOT NULL,
    expires_at REAL,
    model_name TEXT NOT NULL,
    model_sha256 TEXT NOT NULL
) STRICT;
CREATE TABLE prototypes (
    profile INTEGER NOT NULL REFERENCES profiles ON DELETE CASCADE,
    number INTEGER NOT NULL,
    speech_s REAL NOT NULL,
    added_at REAL NOT NULL,
    consent_version TEXT NOT NULL,
    consent_at REAL NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (profile, number)
) STRICT;
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
    existed = path.exists()
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite's other files follow its mode
    if not existed:
        sync_folder(path.parent)
    database = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    database.row_factory = sqlite3.Row
    return database


def prepare(database: sqlite3.Connection, key: bytes, path: Path) -> Seal:
    """Make the tables if there are none, check that all is sound, and return the key's seal."""
    _check_ours(database, path)
    mode = _keep_log(database)
    if mode != "wal":
        raise StoreError(f"the file system of {path} cannot hold the store: use a local folder")
    for setting in SETTINGS:
        database.execute(f"PRAGMA {setting}")
    _create(database, key)
    if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise _damaged(path)
    truncate_log(database)  # a deletion that was killed half-way is finished here
    about = dict(database.execute("SELECT name, value FROM about").fetchall())
    seal = Seal(key, about["store_id"])
    try:
        seal.open(about["key_check"], KEY_CHECK)
    except BrokenSeal as error:
        raise StoreError(
            f"this key is not the one the store {path} was made with: restore that key (the file"
            " `key` beside it, or VOXWATCH_KEY)"
        ) from error
    return seal


def truncate_log(database: sqlite3.Connection) -> bool:
    """Bring the write-ahead log into the file and empty it; False when a reader prevents it."""
    busy: int = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return not busy


def _check_ours(database: sqlite3.Connection, path: Path) -> None:
    # In this order: who finds tables finds the mark of whoever made them in the same moment.
    filled = not _is_empty(database)
    application = database.execute("PRAGMA application_id").fetchone()[0]
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID and filled:
        raise StoreError(f"{path} is the database of another program: choose another data_dir")
    if application == APPLICATION_ID and version != SCHEMA_VERSION:
        raise StoreError(
            f"{path} was made by another version of voxwatch (store version {version}, this one"
            f" reads {SCHEMA_VERSION}): use that version"
        )


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


def _is_empty(database: sqlite3.Connection) -> bool:
    return not database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]


def _create(database: sqlite3.Connection, key: bytes) -> None:
    """All tables or none, by one of the processes that may be at it."""
    if not _is_empty(database):
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        if _is_empty(database):
            for statement in SCHEMA.split(";\n"):
                database.execute(statement)
            store_id = secrets.token_bytes(16)
            about = {
                "store_id": store_id,
                "key_check": Seal(key, store_id).close(KEY_CHECK, KEY_CHECK),
                "version": 0,
            }
            database.executemany("INSERT INTO about VALUES (?, ?)", about.items())
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        database.execute("COMMIT")
    except BaseException:
        roll_back(database)
        raise


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
        raise StoreError(
            f"cannot open the store {path}: {error.strerror}; check the path and its permissions"
        ) from error


def _explanation(error: sqlite3.Error, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", None)
    match None if code is None else code & 0xFF:  # the rest of the code says more than is needed
        case sqlite3.SQLITE_NOTADB:
            return StoreError(
                f"{path} is not a store of voiceprints: restore it from a backup, or move it away"
            )
        case sqlite3.SQLITE_CORRUPT:
            return _damaged(path)
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


def _damaged(path: Path) -> StoreError:
    return StoreError(
        f"the store {path} is damaged: restore it from a backup, or move it away and enrol again"
    )
