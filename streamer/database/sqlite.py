"""A file of SQLite: how it is made and opened.

Transactions begin as ``BEGIN IMMEDIATE``, so that one which reads and then writes is never told
in its middle that another was quicker, and as plain ``BEGIN`` where they only read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from streamer.database.errors import DatabaseError, damaged, explained

APPLICATION_ID = 0x766F7857  # "voxW"
LOG_BYTES = 4 << 20  # of the write-ahead log, as large as it usually grows
SETTINGS = (
    "synchronous = FULL",  # a commit is on the disk before it returns
    "secure_delete = ON",  # what is deleted is overwritten with zeros
    "foreign_keys = ON",
    "temp_store = MEMORY",
    "trusted_schema = OFF",
    # A log that grew while somebody read for long is made short again when it is next begun anew.
    f"journal_size_limit = {LOG_BYTES}",
)
BEGIN = "voxwatch_begin"  # the execution option that says how a transaction begins, None: not
READING: dict[str, Any] = {BEGIN: "BEGIN"}
OUTSIDE: dict[str, Any] = {BEGIN: None}  # for what SQLite does in no transaction
BUSY_PAUSE_S = 0.01
EMPTY_PAUSE_S = 0.02  # between two tries, in which others write


def make_engine(path: Path, busy_s: float) -> Engine:
    """See :func:`streamer.database.engine.open_database`."""
    with explained(str(path)):
        _make_file(path)
    engine = create_engine(
        URL.create("sqlite", database=str(path.absolute())),
        connect_args={"timeout": busy_s, "check_same_thread": False},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def prepare(database: sqlite3.Connection, _: object) -> None:
        _prepare(database, path)

    _close_late(engine)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if statement := connection.get_execution_options().get(BEGIN, "BEGIN IMMEDIATE"):
            connection.exec_driver_sql(statement)

    @event.listens_for(engine, "handle_error")
    def forget(context: ExceptionContext) -> None:
        """Nothing that was read from a damaged file is kept for when it is whole again."""
        code = getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            context.is_disconnect = True

    return engine


def _close_late(engine: Engine) -> None:
    """Close what is in use while the engine is disposed of as soon as it is not any more.

    A server that ends waits for nobody who still reads, as a disk may not answer.
    """
    disposed = 0  # times

    @event.listens_for(engine, "engine_disposed")
    def dispose(_: Engine) -> None:
        nonlocal disposed
        disposed += 1

    @event.listens_for(engine, "connect")
    def connect(_: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        record.info["disposed"] = disposed

    @event.listens_for(engine, "checkin")
    def checkin(database: sqlite3.Connection | None, record: ConnectionPoolEntry) -> None:
        if database is not None and record.info["disposed"] != disposed:
            database.close()


def claim(connection: Connection) -> None:
    """Mark the file as this program's, within a transaction."""
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")


def check_whole(engine: Engine, what: str) -> None:
    """Raise :class:`DatabaseError` where the file is damaged.

    A connection of its own looks at the file: the others go on with what they have read before.
    """
    path = Path(str(engine.url.database))
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise DatabaseError(damaged(what, str(path)))


def shorten_log(engine: Engine) -> None:
    """Bring the write-ahead log into the file, as far as nobody who reads prevents it."""
    with (
        contextlib.suppress(SQLAlchemyError),  # what is in the log is as safe as in the file
        engine.connect().execution_options(**OUTSIDE) as connection,
    ):
        connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")


def empty_log(engine: Engine) -> None:
    """Bring all of the log into the file and cut it to nothing, once nobody reads from it.

    SQLite keeps everybody from writing while it waits for readers, some of whom take minutes, and
    some of whom may wait for somebody who wants to write. So it is told to wait for nobody, and is
    asked again and again for as long as others would be waited for, with the lock let go between.
    """
    with (
        contextlib.suppress(SQLAlchemyError),
        engine.connect().execution_options(**OUTSIDE) as connection,
    ):
        wait_ms: int = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
        deadline = time.monotonic() + wait_ms / 1000
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        try:
            while _cannot_empty(connection) and time.monotonic() < deadline:
                time.sleep(EMPTY_PAUSE_S)
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {wait_ms}")


def _cannot_empty(connection: Connection) -> bool:
    """Whether somebody reads or writes; most is brought over while others may write."""
    connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")
    busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    return bool(busy)


def _make_file(path: Path) -> None:
    """Make the file if there is none, for its owner only: SQLite's other files follow its mode.

    One that is there is never opened but by SQLite. Whoever closes it takes away the locks of the
    whole process (https://sqlite.org/howtocorrupt.html, 2.2), and then the next process that ends
    removes the write-ahead log under this one, whose writes are lost.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        if os.name == "posix":
            _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Bring the folder's list of names to the disk, so that the new file outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    database.isolation_level = None  # transactions are begun by `begin` above, and by nobody else
    _check_ours(database, path)
    if _keep_log(database) != "wal":
        raise DatabaseError(f"the file system of {path} cannot hold a database: use a local folder")
    for setting in SETTINGS:
        database.execute(f"PRAGMA {setting}")


def _check_ours(database: sqlite3.Connection, path: Path) -> None:
    # In this order: who finds tables finds the mark of whoever made them in the same moment.
    filled = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    application = database.execute("PRAGMA application_id").fetchone()[0]
    if filled and application != APPLICATION_ID:
        raise DatabaseError(f"{path} is the database of another program: choose another data_dir")


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
