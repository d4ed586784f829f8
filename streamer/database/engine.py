"""A database by its URL, and transactions that mean the same in SQLite and in PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine

from streamer.database import postgresql, sqlite

BUSY_S = 5.0  # another process may be writing for as long as an enrolment takes to be synced


def open_database(url: str | None, folder: Path, name: str, *, busy_s: float = BUSY_S) -> Engine:
    """The PostgreSQL database at ``url``, or without one the SQLite file ``folder/name``.

    The file is made if there is none; PostgreSQL is not asked before the first transaction.
    Both wait up to ``busy_s`` seconds for whoever holds a lock. Any thread may use the engine;
    ``dispose`` closes it. Raises :class:`~streamer.database.errors.DatabaseError`. Errors of a
    transaction are explained by :func:`~streamer.database.errors.explained`.
    """
    if url is None:
        return sqlite.make_engine(folder / name, busy_s)
    return postgresql.make_engine(url, busy_s)


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
