"""A record that was tampered with is told: each way of doing so is a test.

Whoever tampers can read and write the whole database, knows how it is made, and has not the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from recorded import ALICE, BOB, KEY, NAMES, T0, decision, score, started, whole
from sqlalchemy import Connection, Table, create_engine, delete, insert, select, update

from streamer.records import tables
from streamer.records.book import Book
from streamer.records.chain import REGISTER, link, start
from streamer.records.entries import Acted
from streamer.records.errors import BrokenChain
from streamer.records.journal import Journal
from streamer.records.opening import open_book
from streamer.records.signing import Secret, is_signed

ENTRIES, STREAMS, PEOPLE = tables.entries, tables.streams, tables.people
LIST, ABOUT = tables.register, tables.about
OTHER = Secret(bytes(32))  # the key of whoever tampers
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


WAYS: dict[str, Callable[[Tamperer], object]] = {
    # What an entry says.
    "a mismatch becomes a match": lambda t: t.replace(8, b'"mismatch"', b'"match"'),
    "a match becomes a mismatch": lambda t: t.replace(6, b'"match"', b'"mismatch"'),
    "another time of day": lambda t: t.replace(6, b'"at":1800000005.0', b'"at":1800000004.0'),
    "another media time": lambda t: t.replace(6, b'"t":5.0', b'"t":5.5'),
    "another score": lambda t: t.replace(2, b'"llr":2.5', b'"llr":9.5'),
    "another evidence": lambda t: t.replace(2, b'"evidence":1.5', b'"evidence":8.5'),
    "another speaker": lambda t: t.replace(6, ALICE.encode(), BOB.encode()),
    "another claim": lambda t: t.replace(1, ALICE.encode(), BOB.encode()),
    "another model": lambda t: t.replace(1, b"5a5a", b"5b5a"),
    "other bounds": lambda t: t.replace(1, b'"false_accept":0.01', b'"false_accept":0.10'),
    "another consent": lambda t: t.replace(1, b'"consent_version":"1"', b'"consent_version":"2"'),
    "another enrolment": lambda t: t.replace(1, b'"speech_s":20.0', b'"speech_s":90.0'),
    "another author of a note": lambda t: t.replace(7, b'"who":"desk"', b'"who":"boss"'),
    "a note is emptied": lambda t: t.replace(7, b'"text":"', b'"text":"","was":"'),
    "another verdict": lambda t: t.replace(10, b'"cleared"', b'"violation"'),
    "another close code": lambda t: t.replace(9, b'"code":1000', b'"code":1001'),
    "another order of fields": lambda t: t.entry(2, body=b" " + t.body(2)),
    "an entry that is no JSON": lambda t: t.entry(3, body=bytes(9)),
    "an entry that is empty": lambda t: t.entry(3, body=b""),
    "an entry of no kind": lambda t: t.replace(2, b'"kind":"scores"', b'"kind":"scored"'),
    # Which entries there are.
    "the first is removed": lambda t: t.remove(1),
    "one in the middle is removed": lambda t: t.remove(6),
    "the last is removed": lambda t: t.remove(10),
    "several are removed": lambda t: t.remove(2, 3, 4, 5),
    "all are removed": lambda t: t.remove(*range(1, 11)),
    "all are removed, the head too": lambda t: (t.remove(*range(1, 11)), t.relink()),
    "one is removed and the rest moved up": lambda t: (
        t.remove(6),
        [t.renumber(n, n - 1) for n in range(7, 11)],
    ),
    "one is removed, and all linked anew": lambda t: (t.remove(10), t.relink()),
    "one is removed, all linked anew, signed by another": lambda t: (t.remove(10), t.relink(OTHER)),
    "all after an earlier head are removed, and that put back": lambda t: (
        t.remove(8, 9, 10),
        t.column(**t.head),
    ),
    "the end is removed with its column": lambda t: (
        t.remove(8, 9, 10),
        t.column(ended_at=None, **t.head),
    ),
    "two are exchanged": lambda t: t.swap(6, 8),
    "two are exchanged, and all linked anew": lambda t: (t.swap(6, 8), t.relink()),
    "the contents of two are exchanged": lambda t: (
        lambda six, eight: (t.entry(6, body=eight), t.entry(8, body=six))
    )(t.body(6), t.body(8)),
    "one is put in": lambda t: t.add(11, t.body(2)),
    "one is put in, with its link in the head": lambda t: t.column(
        length=11, hash=t.add(11, t.body(2))
    ),
    "one is put in, all linked anew, signed by another": lambda t: (
        t.add(11, t.body(2)),
        t.relink(OTHER),
    ),
    "one is put in under a number far off": lambda t: t.add(500, t.body(2)),
    "entries of a stream that there is none of": lambda t: (
        t.copy("two", "three"),
        t.connection.execute(delete(STREAMS).where(STREAMS.c.stream == "three")),
        t.connection.execute(delete(PEOPLE).where(PEOPLE.c.stream == "three")),
    ),
    # Links and heads.
    "another link": lambda t: t.entry(4, hash=bytes(32)),
    "another length in the head": lambda t: t.column(length=9),
    "another link in the head": lambda t: t.column(hash=bytes(32)),
    "another signature": lambda t: t.column(signature=bytes(64)),
    "no signature": lambda t: t.column(signature=b""),
    "the head of another stream": lambda t: t.column(
        length=t.of("two").length, hash=t.of("two").hash, signature=t.of("two").signature
    ),
    "all is signed by another": lambda t: t.relink(OTHER),
    # Streams.
    "a stream is removed": lambda t: t.drop("one"),
    "a stream is removed, and the register's word of it": lambda t: (
        t.drop("one"),
        t.unlist("one"),
    ),
    "a stream is removed, and all of the register linked anew": lambda t: (
        t.drop("one"),
        t.unlist("one"),
        t.relist(),
    ),
    "a stream is removed, the register linked anew, signed by another": lambda t: (
        t.drop("one"),
        t.unlist("one"),
        t.relist(OTHER),
    ),
    "a stream is copied": lambda t: t.copy("one", "three"),
    "a stream has another name": lambda t: t.move("one", "three"),
    "two streams have each other's names": lambda t: (
        t.move("one", "three"),
        t.move("two", "one"),
        t.move("three", "two"),
    ),
    "a deleted stream is put back": lambda t: t.copy("two", "gone"),
    "another exam": lambda t: t.column(exam="another"),
    "another candidate": lambda t: t.column(candidate="d0" * 16),
    "another start": lambda t: t.column(started_at=T0 - 86400),
    "another end": lambda t: t.column(ended_at=T0 + 86400),
    "no end": lambda t: t.column(ended_at=None),
    "a hold is taken off": lambda t: t.column("two", held_by=None),
    "a hold is put on": lambda t: t.column(held_by="somebody"),
    "the key of texts is removed": lambda t: t.column(text_key=None),
    "the key of another stream's texts": lambda t: t.column(text_key=t.of("two").text_key),
    "a person is taken out of the index": lambda t: t.connection.execute(delete(PEOPLE)),
    "a person is put into the index": lambda t: t.connection.execute(
        insert(PEOPLE).values(stream="one", person=BOB)
    ),
    # The register.
    "the register's first entry is removed": lambda t: t.connection.execute(
        delete(LIST).where(LIST.c.number == 1)
    ),
    "the register's last entry is removed": lambda t: t.connection.execute(
        delete(LIST).where(LIST.c.number == t.connection.scalar(select(ABOUT.c.length)))
    ),
    "the register is emptied": lambda t: (t.connection.execute(delete(LIST)), t.relist()),
    "entries of the register are exchanged": lambda t: t.swap(1, 2, LIST),
    "the register says another thing": lambda t: t.connection.execute(
        update(LIST).where(LIST.c.number == 1).values(body=b'{"at":0,"act":"held","stream":"x"}')
    ),
    "the register cannot be read": lambda t: t.connection.execute(
        update(LIST).where(LIST.c.number == 1).values(body=b"?")
    ),
    "another link in the register": lambda t: t.connection.execute(
        update(LIST).where(LIST.c.number == 1).values(hash=bytes(32))
    ),
    "another length of the register": lambda t: t.about(length=1),
    "another link in the register's head": lambda t: t.about(hash=bytes(32)),
    "another signature of the register": lambda t: t.about(signature=bytes(64)),
    "the register is signed by another": lambda t: t.relist(OTHER),
}


@contextmanager
def tampering(book: Book) -> Iterator[Connection]:
    """A connection that checks nothing, as whoever has the file can make it."""
    engine = create_engine(book.journal.engine.url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[tuple[Book, dict[str, Any]]]:
    """Three streams: one with a verdict, one that is held, and one that was deleted."""
    book = open_book(None, tmp_path, KEY, lambda: NAMES)
    one = whole("one", exam="exam", candidate="c0" * 16)
    book.journal.write({"one": one[:EARLIER]})
    with book.journal.engine.connect() as connection:
        row = connection.execute(select(STREAMS)).one()
    book.journal.write({"one": one[EARLIER:], "two": whole("two"), "gone": whole("gone")})
    book.act("one", Acted(at=T0 + 9, t=8.0, who="desk", act="verdict", verdict="cleared"))
    book.act("two", Acted(at=T0 + 9, t=8.0, who="chief", act="hold"))
    book.delete("gone", "chief", "asked to", T0 + 10)
    yield book, {name: getattr(row, name) for name in ("length", "hash", "signature")}
    book.close()


def test_there_are_at_least_fifty_ways() -> None:
    assert len(WAYS) >= 50


def test_what_nobody_tampered_with_is_whole(recorded: tuple[Book, Any]) -> None:
    verified = recorded[0].verify()
    assert verified.findings == ()
    assert (verified.streams, verified.entries) == (2, 20)
    assert recorded[0].verify(stream="one").findings == ()
    assert recorded[0].verify(exam="exam").streams == 1


@pytest.mark.parametrize("way", WAYS)
def test_what_was_tampered_with_is_told(recorded: tuple[Book, dict[str, Any]], way: str) -> None:
    book, head = recorded
    with tampering(book) as connection:
        WAYS[way](Tamperer(connection, head))
    assert book.verify().findings, way


OF_OTHERS = {  # ways that leave the exam as it was
    "entries of a stream that there is none of",
    "a deleted stream is put back",
    "a hold is taken off",
}


@pytest.mark.parametrize("way", [way for way in WAYS if way not in OF_OTHERS])
def test_it_is_told_to_whoever_verifies_the_exam(
    recorded: tuple[Book, dict[str, Any]], way: str
) -> None:
    """Also where the stream is gone, or said to be another exam's."""
    book, head = recorded
    with tampering(book) as connection:
        WAYS[way](Tamperer(connection, head))
    assert book.verify(exam="exam").findings, way


def test_a_record_that_goes_on_is_whole_at_every_step(tmp_path: Path) -> None:
    book = open_book(None, tmp_path, KEY, lambda: NAMES)
    entries = [started("one"), *(score(s) for s in range(1, 4)), decision(4.0), *whole("one")[-2:]]
    for entry in entries:
        book.journal.write({"one": [entry]})
        assert book.verify().findings == ()
    book.close()


AT_WORK: dict[str, Callable[[Tamperer], object]] = {
    "an older copy is put back": lambda t: (
        t.remove(*range(EARLIER + 1, EARLIER + 4)),
        t.column(**t.head),
    ),
    "all so far is removed": lambda t: t.drop("one"),
}


@pytest.mark.parametrize("way", AT_WORK)
def test_what_is_tampered_with_while_it_is_written_is_not_gone_on_with(
    tmp_path: Path, way: str
) -> None:
    """Whoever does so copies a head that was signed, and lets the server sign what follows it."""
    book = open_book(None, tmp_path, KEY, lambda: NAMES)
    book.journal.write({"one": whole("one")[:EARLIER]})
    with book.journal.engine.connect() as connection:
        row = connection.execute(select(STREAMS)).one()
    book.journal.write({"one": [score(float(second)) for second in range(8, 11)]})
    with tampering(book) as connection:
        head = {name: getattr(row, name) for name in ("length", "hash", "signature")}
        AT_WORK[way](Tamperer(connection, head))
    with pytest.raises(BrokenChain):
        book.journal.write({"one": [score(11.0)]})
    book.close()


@pytest.mark.parametrize("others", [True, False])
def test_a_stream_whose_server_was_killed_is_not_put_back(tmp_path: Path, others: bool) -> None:
    """To an end of a moment ago, with all that was signed then, while others went on or not."""
    book = open_book(None, tmp_path, KEY, lambda: NAMES)
    book.journal.write({"one": whole("one")[:EARLIER], "two": whole("two")})
    with book.journal.engine.connect() as connection:
        row = connection.execute(select(STREAMS).where(STREAMS.c.stream == "one")).one()
        about = connection.execute(select(ABOUT)).one()
    book.journal.write({"one": [score(float(second)) for second in range(8, 11)]})
    if others:
        book.journal.write({"three": [started("three")]})
    assert book.verify().findings == ()
    killed = open_book(None, tmp_path, KEY, lambda: NAMES)  # nothing is remembered of it
    with tampering(book) as connection:
        head = {name: getattr(row, name) for name in ("length", "hash", "signature")}
        tamperer = Tamperer(connection, head)
        AT_WORK["an older copy is put back"](tamperer)
        if others:  # else that would be the whole database as it was
            tamperer.about(heads=about.heads, signature=about.signature)
    assert killed.verify().findings
    assert killed.verify(stream="one").findings
    killed.view(["one"], "desk", T0 + 30)  # going on from it hides nothing
    killed.journal.write({"four": whole("four")})
    assert killed.verify().findings
    killed.close()
    book.close()


LAUNDERING: dict[str, Callable[[Tamperer], object]] = {
    "a chain is linked anew": lambda t: (t.replace(2, b"2.5", b"9.5"), t.relink()),
    "and its signature left out": lambda t: (
        t.replace(2, b"2.5", b"9.5"),
        t.relink(),
        t.column(signature=b""),
    ),
    "the register is linked anew": lambda t: (t.unlist("two"), t.relist()),
    "the sum of ends is another one": lambda t: t.about(heads=bytes(32)),
    "there is no sum": lambda t: (t.remove(7), t.relink(), t.about(heads=None)),
}


@pytest.mark.parametrize("way", LAUNDERING)
def test_what_was_tampered_with_is_not_signed_by_going_on(tmp_path: Path, way: str) -> None:
    """By a server that was started since, and knows of nothing."""
    book = open_book(None, tmp_path, KEY, lambda: NAMES)
    book.journal.write({"one": whole("one")[:EARLIER], "two": whole("two")})
    assert book.verify().findings == ()
    with tampering(book) as connection:
        LAUNDERING[way](Tamperer(connection, {}))
    book.close()
    book = open_book(None, tmp_path, KEY, lambda: NAMES)
    for number in range(3):
        book.view(["one", "two"], "desk", T0 + 30)
        book.journal.write({"one": [score(20.0 + number)], f"new-{number}": whole(f"new-{number}")})
        assert book.verify().findings
        assert book.verify(stream="new-0").findings
    book.close()


def test_several_processes_write_one_record(book: Book, database_url: str | None) -> None:
    """Each remembers where it has left it, and finds out that the other went on."""
    other = Book(Journal(book.journal.engine, book.journal.secret), lambda: NAMES)
    book.journal.write({"one": [started("one")]})
    other.journal.write({"two": [started("two")]})
    for second in range(1, 4):
        book.journal.write({"one": [score(float(second))]})
        other.journal.write({"two": [score(float(second))]})
        other.view(["one"], "desk", T0)
        assert book.verify().findings == ()
    book.forget(ALICE, "pseudonymise", "chief", T0)
    book.journal.write({"one": [score(5.0), whole("one")[-1]]})
    assert book.verify().findings == ()
    head = other.head("two")
    assert head.signature
    assert is_signed(head, other.journal.secret.public_key)


def test_an_erased_key_is_not_written_again(book: Book) -> None:
    other = Book(Journal(book.journal.engine, book.journal.secret), lambda: NAMES)
    book.journal.write({"one": [started("one")]})
    other.forget(ALICE, "pseudonymise", "chief", T0)
    book.journal.write({"one": [score(1.0)]})
    with book.journal.engine.connect() as connection:
        assert connection.scalar(select(STREAMS.c.text_key)) is None


def test_a_record_of_before_gets_its_sum_when_it_is_opened(tmp_path: Path) -> None:
    book = open_book(None, tmp_path, KEY, lambda: NAMES)
    book.journal.write({"one": whole("one")})
    secret = book.journal.secret
    with tampering(book) as connection:
        about = connection.execute(select(ABOUT)).one()
        old = secret.sign(REGISTER, about.length, about.hash).signature
        connection.execute(update(ABOUT).values(heads=None, signature=bytes.fromhex(old)))
    book.close()
    book = open_book(None, tmp_path, KEY, lambda: NAMES)
    assert book.verify().findings == ()
    book.journal.write({"two": whole("two")})
    assert book.verify().findings == ()
    book.close()


def test_a_stream_that_was_removed_and_began_anew_is_told(tmp_path: Path) -> None:
    book = open_book(None, tmp_path, KEY, lambda: NAMES)
    book.journal.write({"one": whole("one")})
    with tampering(book) as connection:
        Tamperer(connection, {}).drop("one")
    book.journal.write({"one": [started("one")]})  # of another process
    assert [str(one) for one in book.verify(stream="one").findings][:1] == [
        "stream one: it was removed, and began anew"
    ]
    book.close()


def test_a_finding_says_where_it_is(recorded: tuple[Book, dict[str, Any]]) -> None:
    book, head = recorded
    with tampering(book) as connection:
        WAYS["a match becomes a mismatch"](Tamperer(connection, head))
    (finding,) = book.verify().findings
    assert str(finding) == "stream one, entry 6: it was changed, or what is before it"
    assert book.verify(stream="two").findings == ()
