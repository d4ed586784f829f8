"""The register is cut of what it may forget, and still tells what was done to the rest."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from recorded import KEY, NAMES, T0, whole
from sqlalchemy import Row, delete, insert, select, update
from tamperer import ABOUT, LIST, Tamperer, tampering

from streamer.records import register
from streamer.records.book import Book
from streamer.records.chain import REGISTER, link
from streamer.records.entries import Acted, AnyEntry
from streamer.records.errors import RecordError
from streamer.records.opening import open_book
from streamer.records.signing import Secret

DAY_S = 86400.0
OTHER = Secret(bytes(32))  # the key of whoever tampers


def day(number: int) -> str:
    return f"day-{number}"


def of_day(number: int) -> list[AnyEntry]:
    """A stream so many days after the first."""
    entries = whole(day(number))
    return [msgspec.structs.replace(one, at=one.at + number * DAY_S) for one in entries]


def filled(book: Book) -> None:
    """A stream a day for ten days; those of the first six days were deleted on the seventh."""
    for number in range(10):
        book.journal.write({day(number): of_day(number)})
        if number == 6:
            assert len(book.purge(T0 + 5.5 * DAY_S, T0 + 6.5 * DAY_S)) == 6


@pytest.fixture
def kept(book: Book) -> Book:
    filled(book)
    return book


def cut(book: Book, days: float) -> int:
    """What was before that day."""
    return book.shorten_register(T0 + days * DAY_S, T0 + 20 * DAY_S)


def restarts(book: Book) -> list[register.RegisterEntry]:
    return [one for one in book.register() if one.act == "restarted"]


def test_what_is_old_and_of_deleted_streams_becomes_one_entry(kept: Book) -> None:
    before = kept.register()
    links = [row.hash for row in listed(kept)]
    assert cut(kept, 3.5) == 8  # the beginning and the end of four streams
    note = kept.register()[-1]
    assert kept.register()[:-1] == before[8:]
    assert (note.act, note.who, note.why) == ("restarted", "the server", "register_days")
    assert (note.count, note.hash) == (8, links[7].hex())
    assert (note.since, note.until) == (T0, before[7].at)
    assert (note.streams, note.awaited) == (4, 4)
    found = kept.verify()
    assert (found.findings, found.restart) == ((), note)
    assert found.head.count == len(before) + 1
    assert kept.verify(stream=day(8)).findings == ()


def test_it_is_cut_again_and_all_is_accounted_for(kept: Book) -> None:
    assert cut(kept, 3.5) == 8
    assert kept.purge(T0 + 30 * DAY_S, T0 + 30 * DAY_S) == (day(6), day(7), day(8), day(9))
    assert cut(kept, 7.5) == 4 + 2 + 6 + 2  # deletions of the first six are among them
    first, second = restarts(kept)
    assert (second.count, second.streams, second.awaited) == (22, 8, 2)
    assert second.since == first.since
    assert kept.verify().findings == ()
    assert kept.shorten_register(T0 + 40 * DAY_S, T0 + 50 * DAY_S) > 0
    (last,) = restarts(kept)
    assert (last.streams, last.awaited, len(kept.register())) == (10, 0, 1)
    assert kept.verify().findings == ()


def test_where_nothing_is_due_nothing_is_noted(kept: Book) -> None:
    assert cut(kept, -1) == 0
    assert cut(kept, 3.5) == 8
    there = kept.register()
    assert cut(kept, 3.5) == 0
    assert kept.register() == there
    kept.purge(T0 + 30 * DAY_S, T0 + 30 * DAY_S)
    kept.shorten_register(T0 + 40 * DAY_S, T0 + 50 * DAY_S)
    assert kept.shorten_register(T0 + 60 * DAY_S, T0 + 70 * DAY_S) == 0  # but for its own entry


def test_what_is_not_deleted_keeps_all_that_came_after_it(kept: Book) -> None:
    kept.act(day(6), Acted(at=T0 + 10 * DAY_S, t=8.0, who="chief", act="hold"))
    kept.purge(T0 + 30 * DAY_S, T0 + 30 * DAY_S)
    assert cut(kept, 30) == 12  # up to the beginning of the stream that is held
    assert cut(kept, 30) == 0
    assert kept.register()[0].stream == day(6)
    assert kept.verify(stream=day(6)).findings == ()
    assert kept.verify().findings == ()


def test_who_looked_is_kept_for_its_own_time(book: Book) -> None:
    book.journal.write({day(0): of_day(0)})
    book.view([day(0)], "chief", T0 + 5 * DAY_S)
    book.delete(day(0), "chief", "asked to", T0 + 6 * DAY_S)
    cut(book, 4)
    assert [one.act for one in book.register()] == ["viewed", "sealed", "deleted", "restarted"]
    cut(book, 5.5)
    assert [one.act for one in book.register(day(0))] == ["deleted"]
    assert book.register(day(0))[0].why == "asked to"
    assert book.verify().findings == ()


def test_a_stream_that_somebody_removed_is_told_for_ever(kept: Book) -> None:
    """That the register tells of it is all that is left of it."""
    with tampering(kept) as connection:
        Tamperer(connection, {}).drop(day(6))
    before = kept.verify().findings
    assert cut(kept, 30) == 12
    assert kept.verify().findings == before != ()


def test_a_register_that_was_changed_is_not_cut(kept: Book) -> None:
    with tampering(kept) as connection:
        connection.execute(update(LIST).where(LIST.c.number == 2).values(body=b'{"at":0}'))
    there = listed(kept)
    with pytest.raises(RecordError, match="was changed"):
        cut(kept, 3.5)
    assert listed(kept) == there


def test_one_entry_lacking_is_no_less_a_change(kept: Book) -> None:
    with tampering(kept) as connection:
        connection.execute(delete(LIST).where(LIST.c.number == 4))
    with pytest.raises(RecordError, match="was changed"):
        cut(kept, 3.5)


def test_what_is_not_signed_is_not_cut(kept: Book) -> None:
    with tampering(kept) as connection:
        Tamperer(connection, {}).about(signature=bytes(64))
    with pytest.raises(RecordError, match="was changed"):
        cut(kept, 3.5)


def test_streams_go_on_while_it_is_cut(
    book: Book, database_url: str | None, tmp_path: Path
) -> None:
    """What a writer remembers of where the register ended is not so any more."""
    filled(book)
    entries = of_day(11)
    book.journal.write({day(11): entries[:3]})
    other = open_book(database_url, tmp_path, KEY, lambda: NAMES)
    assert cut(other, 3.5) == 8
    other.close()
    book.journal.write({day(11): entries[3:]})
    assert book.verify().findings == ()


KILLED = """
import os, signal, sys
from pathlib import Path
from streamer.records import register
from streamer.records.opening import open_book

def killed(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

register.note = killed
book = open_book(None, Path(sys.argv[1]), bytes(range(32)))
book.shorten_register(float(sys.argv[2]), 0.0)
"""


def test_killed_in_the_middle_it_is_as_before(tmp_path: Path) -> None:
    book = open_book(None, tmp_path, KEY, lambda: NAMES)
    filled(book)
    there = listed(book)
    book.close()
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(T0 + 3.5 * DAY_S)]
    assert subprocess.run(command, check=False, timeout=120).returncode == -signal.SIGKILL
    again = open_book(None, tmp_path, KEY, lambda: NAMES)
    assert listed(again) == there
    assert again.verify().findings == ()
    assert cut(again, 3.5) == 8
    assert again.verify().findings == ()
    again.close()


# Whoever tampers has what the register was before it was cut, and before it was cut again.


class Cutter(Tamperer):
    """Somebody without a key who has copied the whole register before each time it was cut."""

    def restart(self) -> Any:
        number = self.connection.scalar(select(ABOUT.c.restart))
        return self.connection.execute(select(LIST).where(LIST.c.number == number)).one()

    def put(self, number: int, body: bytes) -> None:
        """An entry that its link follows from."""
        before = self.connection.scalar(select(LIST.c.hash).where(LIST.c.number == number - 1))
        values = {"number": number, "hash": link(before or b"", number, body), "body": body}
        self.connection.execute(insert(LIST).values(values))

    def says(self, **other: Any) -> None:
        """The entry about what was cut says another thing."""
        row = self.restart()
        body = msgspec.json.encode(msgspec.json.decode(row.body) | other)
        self.connection.execute(update(LIST).where(LIST.c.number == row.number).values(body=body))

    def linked(self, sign: Secret | None = None, **other: Any) -> None:
        """It does, and is linked anew, and signed by another or by nobody."""
        self.says(**other)
        row = self.restart()
        self.connection.execute(delete(LIST).where(LIST.c.number >= row.number))
        self.put(row.number, row.body)
        last = self.restart().hash
        self.about(length=row.number, hash=last)
        if sign is not None:
            heads = self.connection.scalar(select(ABOUT.c.heads)) or b""
            head = sign.sign(REGISTER, row.number, last, heads)
            self.about(signature=bytes.fromhex(head.signature))

    def back(self, rows: list[Row[Any]], below: int) -> None:
        """Entries that were cut are there again."""
        there = set(self.connection.scalars(select(LIST.c.number)))
        values = [r._asdict() for r in rows if r.number not in there and r.number <= below]
        self.connection.execute(insert(LIST), values)


Way = Callable[[Cutter, list[Row[Any]], Row[Any]], object]
WAYS: dict[str, Way] = {
    "the entry is removed": lambda t, rows, about: t.connection.execute(
        delete(LIST).where(LIST.c.number == t.restart().number)
    ),
    "the entry is removed, and where it stands": lambda t, rows, about: (
        t.connection.execute(delete(LIST).where(LIST.c.number == t.restart().number)),
        t.about(restart=None),
    ),
    "where it stands is removed": lambda t, rows, about: t.about(restart=None),
    "it stands elsewhere": lambda t, rows, about: t.about(restart=t.restart().number - 1),
    "the one before is said to be the last": lambda t, rows, about: t.about(
        restart=rows[-1].number
    ),
    "another count": lambda t, rows, about: t.says(count=t.restart().number - 2),
    "another head of what was cut": lambda t, rows, about: t.says(hash="00" * 32),
    "a head that is none": lambda t, rows, about: t.says(hash="?"),
    "another span": lambda t, rows, about: t.says(since=T0 + DAY_S),
    "another number of streams": lambda t, rows, about: t.says(streams=1, awaited=0),
    "another time": lambda t, rows, about: t.says(at=T0),
    "another author": lambda t, rows, about: t.says(who="chief"),
    "another act": lambda t, rows, about: t.says(act="viewed"),
    "it is linked anew": lambda t, rows, about: t.linked(streams=1),
    "it is forged with another key": lambda t, rows, about: t.linked(OTHER, streams=1),
    "it is forged with another key as it was": lambda t, rows, about: t.linked(OTHER),
    "one more is cut": lambda t, rows, about: t.connection.execute(
        delete(LIST).where(LIST.c.number == t.connection.scalar(select(LIST.c.number).limit(1)))
    ),
    "one more is cut, which it says": lambda t, rows, about: (
        lambda first: (
            t.connection.execute(delete(LIST).where(LIST.c.number == first.number)),
            t.linked(OTHER, count=first.number, hash=first.hash.hex()),
        )
    )(t.connection.execute(select(LIST).order_by(LIST.c.number).limit(1)).one()),
    "it is moved": lambda t, rows, about: t.swap(t.restart().number, t.restart().number - 1, LIST),
    "it is moved to what was cut": lambda t, rows, about: t.renumber(t.restart().number, 1, LIST),
    "it is there twice": lambda t, rows, about: t.put(t.restart().number + 1, t.restart().body),
    "it is there twice, which the head says": lambda t, rows, about: (
        t.put(t.restart().number + 1, t.restart().body),
        t.about(length=t.restart().number + 1, restart=t.restart().number + 1),
    ),
    "it is there in place of what was cut, too": lambda t, rows, about: t.connection.execute(
        insert(LIST).values(number=1, hash=t.restart().hash, body=t.restart().body)
    ),
    "what was cut is put back": lambda t, rows, about: t.back(rows, rows[-1].number),
    "what was cut is put back, and the head is as it was": lambda t, rows, about: (
        t.back(rows, rows[-1].number),
        t.about(restart=about.restart),
    ),
    "some of what was cut is put back": lambda t, rows, about: t.back(rows[2:], rows[-1].number),
    "the register of before is put back": lambda t, rows, about: (
        t.connection.execute(delete(LIST)),
        t.connection.execute(insert(LIST), [row._asdict() for row in rows]),
    ),
    "the register of before is put back with its head": lambda t, rows, about: (
        t.connection.execute(delete(LIST)),
        t.connection.execute(insert(LIST), [row._asdict() for row in rows]),
        t.about(**about._asdict()),
    ),
}


def listed(book: Book) -> list[Row[Any]]:
    with book.journal.engine.connect() as connection:
        return list(connection.execute(select(LIST).order_by(LIST.c.number)).all())


@pytest.mark.parametrize("way", WAYS)
def test_what_was_tampered_with_is_told(tmp_path: Path, way: str) -> None:
    """Cut twice, with a stream written since then, so that an older state is not the same."""
    book = open_book(None, tmp_path, KEY, lambda: NAMES)
    filled(book)
    assert cut(book, 2.5) == 6
    rows = listed(book)
    with book.journal.engine.connect() as connection:
        about = connection.execute(select(ABOUT)).one()
    book.journal.write({day(10): of_day(10)})
    assert cut(book, 4.5) == 4
    assert book.verify().findings == ()
    with tampering(book) as connection:
        WAYS[way](Cutter(connection, {}), rows, about)
    assert book.verify().findings, way
    assert book.verify(stream=day(9)).findings, way
    book.close()


def test_who_looked_is_told_to_be_there_again(tmp_path: Path) -> None:
    """Of what was cut no stream begins or is deleted, so that their number is the same."""
    book = open_book(None, tmp_path, KEY, lambda: NAMES)
    book.journal.write({day(0): of_day(0)})
    book.view([day(0)], "chief", T0 + 5 * DAY_S)
    book.delete(day(0), "chief", "asked to", T0 + 6 * DAY_S)
    assert cut(book, 4) == 2
    rows, restart = listed(book), restarts(book)[-1]
    with book.journal.engine.connect() as connection:
        number = connection.scalar(select(ABOUT.c.restart))
    assert cut(book, 5.5) == 2
    assert (restart.awaited, restarts(book)[-1].awaited) == (1, 1)
    with tampering(book) as connection:
        tamperer = Cutter(connection, {})
        tamperer.back(rows, rows[-1].number)
        tamperer.about(restart=number)
    (finding,) = book.verify().findings
    assert "an earlier state of it was put back" in str(finding)
    book.close()
