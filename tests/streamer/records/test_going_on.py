"""A record that was tampered with while a server writes it, or between two, stays told.

Going on from it neither signs nor hides what was changed; several processes that go on with one
record, and one that was made before, are no tampering.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from recorded import ALICE, KEY, NAMES, T0, decision, score, started, whole
from sqlalchemy import select, update
from tamperer import ABOUT, EARLIER, STREAMS, Tamperer, tampering

from streamer.records.book import Book
from streamer.records.chain import REGISTER
from streamer.records.errors import BrokenChain
from streamer.records.journal import Journal
from streamer.records.opening import open_book
from streamer.records.signing import is_signed


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
