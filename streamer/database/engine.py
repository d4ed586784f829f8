"""A database by its URL, and transactions that mean the same in SQLite and in PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, Table, text
from sqlalchemy.exc import SQLAlchemyError

from streamer.database import postgresql, sqlite
from streamer.database.errors import DatabaseError, explained, shown

BEFORE = "voxwatch_before"  # an option of the engine: the file that PostgreSQL takes the place of
BUSY_S = 5.0  # another process may be writing for as long as an enrolment takes to be synced


def open_database(url: str | None, folder: Path, name: str, *, busy_s: float = BUSY_S) -> Engine:
    """The PostgreSQL database at ``url``, or without one the SQLite file ``folder/name``.

    Folder and file are made if there are none; PostgreSQL is not asked before the first
    transaction. Both wait up to ``busy_s`` seconds for whoever holds a lock. Any thread may use
    the engine; ``dispose`` closes it. Raises :class:`~streamer.database.errors.DatabaseError`.
    Errors of a transaction are explained by :func:`~streamer.database.errors.explained`.
    """
    if url is None:
        with explained(str(folder)):
            make_folder(folder)
        return sqlite.make_engine(folder / name, busy_s)
    engine = postgresql.make_engine(url, busy_s)
    engine.update_execution_options(**{BEFORE: folder / name})
    return engine


def file_before(engine: Engine) -> Path | None:
    """The file of SQLite that would be opened without the URL of this engine."""
    found: Path | None = engine.get_execution_options().get(BEFORE)
    return found


def make_folder(folder: Path) -> None:
    """Make the data folder, for its owner only. Raises :class:`DatabaseError`, ``OSError``."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix" and folder.stat().st_mode & stat.S_IWOTH:
        raise DatabaseError(
            f"everybody may write to {folder}, and so replace databases and keys: run"
            f" `chmod 700 {folder}`"
        )


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One moment of the database, whatever others write meanwhile."""
    options = postgresql if engine.dialect.name == "postgresql" else sqlite
    with engine.connect().execution_options(**options.READING) as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """All of it or nothing; on the disk when this returns."""
    with engine.begin() as connection:
        yield connection


def check_whole(engine: Engine, what: str = "database") -> None:
    """Raise :class:`~streamer.database.errors.DatabaseError` where a file is damaged.

    PostgreSQL, which looks after its own, is only asked whether it is there.
    """
    if engine.dialect.name == "sqlite":
        sqlite.check_whole(engine, what)
    else:
        with reading(engine) as connection:
            connection.execute(text("SELECT 1"))


def described(engine: Engine) -> str:
    """Which database this is, and where, without a password; it is asked."""
    with reading(engine) as connection:
        if engine.dialect.name == "sqlite":
            name, query = "SQLite", "SELECT sqlite_version()"
        else:
            name, query = "PostgreSQL", "SHOW server_version"
        return f"{name} {connection.execute(text(query)).scalar()} at {shown(engine)}"


def shorten_log(engine: Engine, *, wait: bool = False) -> None:
    """Bring SQLite's write-ahead log into its file, as far as no reader prevents it.

    It waits for them only with ``wait``, and overwrites what was deleted in the log, too. Nobody
    is kept from writing meanwhile.
    """
    if engine.dialect.name == "sqlite":
        (sqlite.empty_log if wait else sqlite.shorten_log)(engine)


def wipe(engine: Engine, table: Table) -> None:
    """Have nothing of what was removed from a table in the database's files, where that can be.

    SQLite overwrites it, but for its log, which is brought into the file. PostgreSQL leaves it in
    place until something else needs the room: there the table is written anew. It must be small,
    as others wait meanwhile. What cannot be done just now is done with the next removal.
    """
    if engine.dialect.name == "sqlite":
        shorten_log(engine, wait=True)
        return
    with (
        contextlib.suppress(SQLAlchemyError),  # somebody reads it for long
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
    ):
        connection.execute(text(f"VACUUM FULL {table.name}"))
