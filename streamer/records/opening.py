"""How the record is opened: its tables, and the secret that it is signed with."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, insert, select

from streamer.records import tables
from streamer.records.book import Book, Names
from streamer.records.chain import REGISTER, start
from streamer.records.errors import RecordError
from streamer.records.journal import Journal
from streamer.records.signing import Secret
from streamer.store.seal import BrokenSeal

RECORDS_FILE = "records.db"


def open_book(engine: Engine, store_key: bytes, names: Names = dict) -> Book:
    """The record in that database. Raises :class:`RecordError` for another store's key."""
    tables.metadata.create_all(engine)
    with engine.begin() as connection:
        secret = _secret(connection, store_key)
    return Book(Journal(engine, secret), names)


def sqlite_engine(folder: Path) -> Engine:
    """Records in a data folder."""
    engine = create_engine(f"sqlite:///{folder / RECORDS_FILE}")

    @event.listens_for(engine, "connect")
    def _connected(connection: object, _: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]
        for setting in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            connection.execute(f"PRAGMA {setting}")  # type: ignore[attr-defined]

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _secret(connection: Connection, store_key: bytes) -> Secret:
    found = connection.execute(select(tables.about)).one_or_none()
    if found is None:
        return _begin(connection, store_key)
    for sealed in (found.secret, found.next_secret):
        try:
            if sealed is not None:
                return Secret.opened(sealed, store_key)
        except BrokenSeal:
            continue
    raise RecordError(
        "the records were made with another key than this store's: restore the key that belongs to"
        " them, or move them away"
    )


def _begin(connection: Connection, store_key: bytes) -> Secret:
    secret, first = Secret.new(), start(REGISTER)
    connection.execute(
        insert(tables.about).values(
            id=1,
            secret=secret.sealed(store_key),
            length=0,
            hash=first,
            signature=bytes.fromhex(secret.sign(REGISTER, 0, first).signature),
        )
    )
    return secret
