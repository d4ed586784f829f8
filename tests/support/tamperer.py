"""Somebody who can read and write the whole database of a record, and has not its key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, create_engine, delete, insert, select, update

from streamer.records import tables
from streamer.records.book import Book
from streamer.records.chain import REGISTER, link, start
from streamer.records.signing import Secret

ENTRIES, STREAMS, PEOPLE = tables.entries, tables.streams, tables.people
LIST, ABOUT = tables.register, tables.about
EARLIER = 7  # entries that the copied head is of


@dataclass
class Tamperer:
    """The database in the hands of somebody who has no key, and what they copied before."""

    connection: Connection
    head: dict[str, Any]  # of stream "one" as it was, signed, after ``EARLIER`` entries

    def body(self, number: int, stream: str = "one") -> bytes:
        where = (ENTRIES.c.stream == stream) & (ENTRIES.c.number == number)
        return bytes(self.connection.scalar(select(ENTRIES.c.body).where(where)) or b"")

    def entry(self, number: int, stream: str = "one", **values: Any) -> None:
        where = (ENTRIES.c.stream == stream) & (ENTRIES.c.number == number)
        self.connection.execute(update(ENTRIES).where(where).values(values))

    def replace(self, number: int, old: bytes, new: bytes) -> None:
        body = self.body(number)
        assert old in body
        self.entry(number, body=body.replace(old, new, 1))

    def column(self, stream: str = "one", **values: Any) -> None:
        self.connection.execute(update(STREAMS).where(STREAMS.c.stream == stream).values(values))

    def of(self, stream: str = "one") -> Any:
        return self.connection.execute(select(STREAMS).where(STREAMS.c.stream == stream)).one()

    def about(self, **values: Any) -> None:
        self.connection.execute(update(ABOUT).values(values))

    def remove(self, *numbers: int, stream: str = "one") -> None:
        where = (ENTRIES.c.stream == stream) & ENTRIES.c.number.in_(numbers)
        self.connection.execute(delete(ENTRIES).where(where))

    def add(self, number: int, body: bytes, stream: str = "one") -> bytes:
        last = link(self.of(stream).hash, number, body)
        row = {"stream": stream, "number": number, "hash": last, "body": body}
        self.connection.execute(insert(ENTRIES).values(row))
        return last

    def renumber(self, old: int, new: int, table: Table = ENTRIES) -> None:
        where = table.c.number == old
        if table is ENTRIES:
            where &= ENTRIES.c.stream == "one"
        self.connection.execute(update(table).where(where).values(number=new))

    def swap(self, one: int, other: int, table: Table = ENTRIES) -> None:
        self.renumber(one, 1000, table)
        self.renumber(other, one, table)
        self.renumber(1000, other, table)

    def relink(self, sign: Secret | None = None) -> None:
        """All links of stream "one" and its head anew, signed with another key or not."""
        wanted = select(ENTRIES).where(ENTRIES.c.stream == "one").order_by(ENTRIES.c.number)
        rows, last = self.connection.execute(wanted).all(), start("one")
        for row in rows:
            last = link(last, row.number, row.body)
            self.entry(row.number, hash=last)
        self.column(length=len(rows), hash=last)
        if sign is not None:
            head = sign.sign("one", len(rows), last)
            self.column(signature=bytes.fromhex(head.signature))

    def relist(self, sign: Secret | None = None) -> None:
        """The register's links and its head, anew."""
        rows = self.connection.execute(select(LIST).order_by(LIST.c.number)).all()
        self.connection.execute(delete(LIST))
        last = start(REGISTER)
        for number, row in enumerate(rows, 1):
            last = link(last, number, row.body)
            values = {"number": number, "hash": last, "body": row.body}
            self.connection.execute(insert(LIST).values(values))
        self.about(length=len(rows), hash=last)
        if sign is not None:
            head = sign.sign(REGISTER, len(rows), last)
            self.about(signature=bytes.fromhex(head.signature))

    def unlist(self, stream: str) -> None:
        """Whatever the register says of a stream."""
        for row in self.connection.execute(select(LIST)).all():
            if f'"stream":"{stream}"'.encode() in row.body:
                self.connection.execute(delete(LIST).where(LIST.c.number == row.number))

    def drop(self, stream: str) -> None:
        for table in (ENTRIES, PEOPLE, STREAMS):
            self.connection.execute(delete(table).where(table.c.stream == stream))

    def copy(self, old: str, new: str) -> None:
        for table in (STREAMS, ENTRIES, PEOPLE):
            rows = self.connection.execute(select(table).where(table.c.stream == old)).all()
            copied = [row._asdict() | {"stream": new} for row in rows]
            self.connection.execute(insert(table), copied)

    def move(self, old: str, new: str) -> None:
        self.copy(old, new)
        self.drop(old)


@contextmanager
def tampering(book: Book) -> Iterator[Connection]:
    """A connection that checks nothing, as whoever has the file can make it."""
    engine = create_engine(book.journal.engine.url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()
