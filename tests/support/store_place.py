"""Where the store of a test lies: a data folder, and SQLite in it or a database of PostgreSQL."""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from enrolled_people import KEY
from postgresql import Cluster
from sqlalchemy import text
from sqlalchemy.event import listen, remove
from sqlalchemy.exc import OperationalError

from streamer.database import open_database, writing
from streamer.store.keys import PERSON_KEYS_FILE, STORE_FILE
from streamer.store.person_keys import SLOT_BYTES
from streamer.store.store import Store

WRAPPED = slice(60, 120)  # of a slot: nonce, key and tag


@dataclass(frozen=True)
class Place:
    """``url`` is what the setting ``database`` says, None for SQLite."""

    folder: Path
    url: str | None = None
    cluster: Cluster | None = None  # that has the database

    @property
    def file(self) -> Path:
        """SQLite's."""
        return self.folder / STORE_FILE

    @property
    def arguments(self) -> tuple[str, str]:
        """Folder and URL on the command line of a program."""
        return str(self.folder), self.url or ""

    def open(self, key: bytes = KEY, **more: Any) -> Store:
        return Store.open(self.folder, key, database=self.url, **more)

    def rows(self, query: str, **values: Any) -> list[Any]:
        """What another program reads from the database, or does to it."""
        if self.url is None:
            with contextlib.closing(sqlite3.connect(self.file)) as database, database:
                return database.execute(query, values).fetchall()
        engine = open_database(self.url, self.folder, STORE_FILE)
        with writing(engine) as connection:
            done = connection.execute(text(query), values)
            found = list(done.all()) if done.returns_rows else []
        engine.dispose()
        return found

    def bytes(self) -> bytes:
        """All that lies in the folder, and in the tables and the log of PostgreSQL's server."""
        files = b"".join(f.read_bytes() for f in sorted(self.folder.iterdir()) if f.is_file())
        return files + (self.cluster.bytes(self.url) if self.url and self.cluster else b"")

    @contextlib.contextmanager
    def unreachable(self, store: Store) -> Iterator[None]:
        """A database that answers nothing that an open store asks."""

        def fail(*_: object) -> None:
            raise OperationalError("", {}, Exception("gone"))

        store.vault.engine.dispose()
        listen(store.vault.engine, "do_connect", fail)
        yield
        remove(store.vault.engine, "do_connect", fail)


def slots(folder: Path) -> set[bytes]:
    """The wrapped keys that lie in the file just now."""
    content = (folder / PERSON_KEYS_FILE).read_bytes()
    starts = range(SLOT_BYTES, len(content), SLOT_BYTES)
    live = [start for start in starts if struct.unpack_from("<I", content, start)[0] in (1, 2)]
    return {content[start : start + SLOT_BYTES][WRAPPED] for start in live}


@pytest.fixture
def place(tmp_path: Path, database_url: str | None, request: pytest.FixtureRequest) -> Place:
    """A place for a store, with which a test runs twice: in SQLite and in PostgreSQL."""
    cluster = None if database_url is None else request.getfixturevalue("cluster")
    return Place(tmp_path / "data", database_url, cluster)


@pytest.fixture
def sqlite_place(tmp_path: Path) -> Place:
    """One in SQLite."""
    return Place(tmp_path / "data")


@pytest.fixture
def postgresql_place(tmp_path: Path, postgresql_url: str, cluster: Cluster) -> Place:
    """One in PostgreSQL."""
    return Place(tmp_path / "data", postgresql_url, cluster)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    """A store there, which does not wait long for others."""
    with place.open(busy_s=0.05) as opened:
        yield opened
