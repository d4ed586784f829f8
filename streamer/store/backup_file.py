"""The file of a backup: SQLite of its own kind, whichever database the store lies in.

It holds the tables of people as the store has them, the store's number in `about`, and the
person keys of the same moment; what :func:`extended` adds lies in tables of its own. Those of
0.4.0, which were copies of the whole database, are read just so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    LargeBinary,
    MetaData,
    NullPool,
    Table,
    Text,
    create_engine,
    insert,
    select,
)
from sqlalchemy.exc import DatabaseError

from streamer.database import copy_rows
from streamer.store.errors import StoreError
from streamer.store.tables import AUDIT, ENROLMENTS, GONE, PEOPLE

APPLICATION_ID = 0x766F7842  # "voxB"
COPIED = (PEOPLE, ENROLMENTS, GONE, AUDIT)
METADATA = MetaData()
ABOUT = Table(
    "about", METADATA, Column("name", Text, primary_key=True), Column("value", LargeBinary)
)
PERSON_KEYS = Table("person_keys", METADATA, Column("content", LargeBinary))


def write(path: Path, database: Connection, store_id: bytes, keys: bytes) -> None:
    """Copy what ``database`` shows at this moment into the empty file at ``path``."""
    with extended(path) as copy:
        METADATA.create_all(copy)
        for table in COPIED:
            table.create(copy)
            copy_rows(table, database, copy)
        copy.execute(insert(ABOUT).values(name="store_id", value=store_id))
        copy.execute(insert(PERSON_KEYS).values(content=keys))


@contextlib.contextmanager
def extended(path: Path) -> Iterator[Connection]:
    """A backup that is not finished, to be written to."""
    with _engine(str(path.absolute())).begin() as copy:
        # A journal beside the file would outlive a kill, and be taken for the next file's.
        copy.exec_driver_sql("PRAGMA journal_mode = MEMORY")
        yield copy
        copy.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Connection]:
    """The tables of a backup. Raises :class:`StoreError` for another file, or a damaged one."""
    if not path.is_file():
        raise StoreError(f"{path} is no file: give the one that `voxwatch backup` wrote")
    engine = _engine(path.absolute().as_uri(), mode="ro", immutable="1", uri="true")
    with engine.connect() as connection:
        if not _is_whole(connection):
            raise StoreError(f"{path} is no backup, or a damaged one")
        yield connection


def store_id(connection: Connection) -> bytes:
    """The number of the store that a backup is of."""
    return bytes(connection.execute(select(ABOUT.c.value).filter_by(name="store_id")).scalar_one())


def person_keys(connection: Connection) -> bytes:
    """The content of the file of person keys."""
    return bytes(connection.execute(select(PERSON_KEYS.c.content)).scalar_one())


def _engine(database: str, **query: str) -> Engine:
    url = URL.create("sqlite", database=database, query=query)
    return create_engine(url, poolclass=NullPool, hide_parameters=True)


def _is_whole(connection: Connection) -> bool:
    try:
        kind = connection.exec_driver_sql("PRAGMA application_id").scalar()
        checked = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    except DatabaseError:
        return False
    return kind == APPLICATION_ID and checked == "ok"
