"""A record that was tampered with is told: each way of doing so is a test.

Whoever tampers can read and write the whole database, knows how it is made, and has not the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from recorded import ALICE, BOB, KEY, NAMES, T0, whole
from sqlalchemy import delete, insert, select, update
from tamperer import ABOUT, EARLIER, LIST, PEOPLE, STREAMS, Tamperer, tampering

from streamer.records.book import Book
from streamer.records.entries import Acted
from streamer.records.opening import open_book
from streamer.records.signing import Secret

OTHER = Secret(bytes(32))  # the key of whoever tampers

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
    "a person is marked as forgotten, so that their texts stay": lambda t: t.connection.execute(
        update(PEOPLE).where(PEOPLE.c.stream == "one").values(forgotten_at=T0)
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


def test_a_finding_says_where_it_is(recorded: tuple[Book, dict[str, Any]]) -> None:
    book, head = recorded
    with tampering(book) as connection:
        WAYS["a match becomes a mismatch"](Tamperer(connection, head))
    (finding,) = book.verify().findings
    assert str(finding) == "stream one, entry 6: it was changed, or what is before it"
    assert book.verify(stream="two").findings == ()
