"""How the record is opened: its tables, and the secret that it is signed with."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, update

from streamer.database import History, explained, migrate, open_database, writing
from streamer.records import register, tables
from streamer.records.book import Book, Names
from streamer.records.chain import REGISTER, start
from streamer.records.errors import RecordError
from streamer.records.heads import NONE
from streamer.records.journal import Journal
from streamer.records.signing import Secret
from streamer.store.seal import BrokenSeal

RECORDS_FILE = "records.db"  # where no `database` is set
HISTORY = History(Path(__file__).parent / "revisions", "record_revision", "0005", tables.metadata)


def open_book(url: str | None, folder: Path, store_key: bytes, names: Names = dict) -> Book:
    """The record in the database at ``url``, or in the data folder.

    Raises :class:`RecordError` for another store's key and for whatever the database refuses.
    """
    with explained(str(folder / RECORDS_FILE), "record", RecordError):
        engine = open_database(url, folder, RECORDS_FILE)
    try:
        return _book(engine, store_key, names)
    except BaseException:
        engine.dispose()
        raise


def is_recorded(url: str | None, folder: Path) -> bool:
    """Whether there may be a record already."""
    return url is not None or (folder / RECORDS_FILE).exists()


def _book(engine: Engine, store_key: bytes, names: Names) -> Book:
    with explained(engine, "record", RecordError):
        migrate(engine, HISTORY)
    with explained(engine, "record", RecordError), writing(engine) as connection:
        secret = _secret(connection, store_key)
        register.begin(connection, secret)
    return Book(Journal(engine, secret), names)


def opened_secret(about: Row[Any], store_key: bytes) -> Secret:
    """The secret in what the database says of itself. Raises :class:`RecordError`."""
    for sealed in filter(None, (about.secret, about.next_secret)):
        with contextlib.suppress(BrokenSeal):
            return Secret.opened(sealed, store_key)
    raise RecordError(
        "the records were made with another key than this store's: restore the key that belongs to"
        " them, or move them away"
    )


def _secret(connection: Connection, store_key: bytes) -> Secret:
    found = connection.execute(select(tables.about)).one_or_none()
    if found is None:
        return _begin(connection, store_key)
    secret = opened_secret(found, store_key)
    if found.next_secret is not None:
        with contextlib.suppress(BrokenSeal):  # or the store was not rotated after all
            Secret.opened(found.next_secret, store_key)
            new = {"secret": found.next_secret, "next_secret": None}
            connection.execute(update(tables.about).values(new))
    return secret


def _begin(connection: Connection, store_key: bytes) -> Secret:
    secret, first = Secret.new(), start(REGISTER)
    connection.execute(
        insert(tables.about).values(
            id=1,
            secret=secret.sealed(store_key),
            length=0,
            hash=first,
            heads=NONE,
            signature=bytes.fromhex(secret.sign(REGISTER, 0, first, NONE).signature),
        )
    )
    return secret
