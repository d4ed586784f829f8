"""What becomes of records in time, and of the records of people who are deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgresql import Cluster
from recorded import ALICE, BOB, KEY, NAMES, T0, decision, score, started, whole
from sqlalchemy import select

from streamer.records import tables
from streamer.records.book import Book
from streamer.records.deletion import UNDER_WAY_S, Forgotten, Mode
from streamer.records.entries import Acted, Started, Told
from streamer.records.errors import Held, UnknownStream
from streamer.records.opening import open_book
from streamer.records.texts import ERASED

DAY_S = 86400.0
LATER = T0 + 40 * DAY_S


@pytest.fixture
def names() -> dict[str, str]:
    return dict(NAMES)


@pytest.fixture
def book(database_url: str | None, tmp_path: Path, names: dict[str, str]) -> Iterator[Book]:
    opened = open_book(database_url, tmp_path, KEY, lambda: names)
    opened.journal.write({"one": whole("one"), "two": whole("two")})
    opened.journal.write({"other": whole("other", claims=(), voiceprints=())[:5]})
    yield opened
    opened.close()


def there(book: Book) -> set[str]:
    return {facts.stream for facts in book.streams()}


def hold(book: Book, stream: str) -> None:
    book.act(stream, Acted(at=T0 + 9, t=8.0, who="chief", act="hold"))


def test_a_deleted_record_is_gone_and_said_in_the_register(book: Book) -> None:
    head = book.head("one")
    book.delete("one", "chief", "asked to", T0 + 20)
    assert there(book) == {"two", "other"}
    with pytest.raises(UnknownStream):
        book.history("one")
    last = book.register("one")[-1]
    assert (last.act, last.who, last.why, last.at) == ("deleted", "chief", "asked to", T0 + 20)
    assert (last.count, last.hash) == (head.count, head.hash)
    assert book.verify().findings == ()
    with book.journal.engine.connect() as connection:
        for table in (tables.entries, tables.people):
            left = connection.execute(select(table).where(table.c.stream == "one")).all()
            assert left == []


def test_what_is_held_is_deleted_by_nobody_until_it_is_released(book: Book) -> None:
    hold(book, "one")
    with pytest.raises(Held, match="chief"):
        book.delete("one", "chief", "asked to", T0 + 20)
    assert book.purge(LATER, LATER) == ("other", "two") or there(book) == {"one"}
    book.act("one", Acted(at=LATER, t=8.0, who="chief", act="release"))
    assert book.purge(LATER, LATER) == ("one",)
    assert there(book) == set()
    assert book.verify().findings == ()


def test_it_is_known_whose_record_is_held(book: Book) -> None:
    book.journal.write({"exam": whole("exam", exam="e", candidate="c0" * 16)})
    hold(book, "one")  # of no candidate
    assert book.held() == set()
    hold(book, "exam")
    assert book.held() == {"c0" * 16}


def test_a_stream_that_goes_on_is_not_deleted(book: Book) -> None:
    book.journal.write({"live": [started("live"), score(1.0)]})
    with pytest.raises(Held, match="goes on"):
        book.delete("live", "chief", "asked to", T0 + 20)
    book.journal.write({"live": [whole("live")[-1]]})
    book.delete("live", "chief", "asked to", T0 + 20)
    assert "live" not in there(book)


def test_a_stream_that_goes_on_for_days_is_neither_deleted_nor_purged(book: Book) -> None:
    """By when it last said something, and not by when somebody last looked at it."""
    days = 5 * DAY_S
    book.journal.write({"long": [started("long"), score(1.0), score(days)]})
    book.act("long", Acted(at=T0 + 9 * DAY_S, t=days, who="desk", act="viewed"))
    with pytest.raises(Held, match="goes on"):
        book.delete("long", "chief", "asked to", T0 + days + 60)
    assert "long" not in book.purge(T0 + days - 60, T0 + days + DAY_S)
    assert "long" in book.purge(T0 + days + 60, T0 + days + 2 * DAY_S)
    assert book.verify().findings == ()


def test_what_ended_long_ago_is_purged_and_the_rest_is_kept(book: Book) -> None:
    book.journal.write({"new": whole("new", at=T0 + 30 * DAY_S)[:5]})
    assert set(book.purge(T0 + 7, LATER)) == {"other"}  # it never ended, and began before
    assert there(book) == {"one", "two", "new"}
    assert set(book.purge(T0 + 9, LATER)) == {"one", "two"}
    assert there(book) == {"new"}
    assert {note.why for note in book.register() if note.act == "deleted"} == {"records_days"}


def test_whoever_is_deleted_is_named_no_more_and_the_record_still_verifies(
    book: Book, names: dict[str, str]
) -> None:
    head = book.head("one")
    del names[ALICE]
    forgotten = book.settle("pseudonymise", LATER)
    assert (forgotten.deleted, sorted(forgotten.pseudonymised)) == ((), ["one", "two"])
    entries = book.history("one")
    first, told, note = entries[0], entries[5], entries[6]
    assert isinstance(first, Started)
    assert isinstance(told, Told)
    assert isinstance(note, Acted)
    assert (first.claims, first.label, note.text) == (("(deleted a1a1a1a1)",), ERASED, ERASED)
    assert told.event.reason == "(deleted a1a1a1a1) speaks"
    assert book.head("one") == head
    assert book.verify().findings == ()
    assert book.register("one")[-1].act == "pseudonymised"
    assert book.settle("pseudonymise", LATER).pseudonymised == ()  # once


def test_where_it_is_wanted_their_records_are_deleted(book: Book, names: dict[str, str]) -> None:
    hold(book, "two")
    del names[ALICE]
    forgotten = book.settle("delete", LATER)
    assert (forgotten.deleted, forgotten.pseudonymised) == (("one",), ("two",))
    assert there(book) == {"two", "other"}
    assert book.verify().findings == ()
    again = book.settle("delete", LATER)
    assert (again.deleted, again.pseudonymised) == ((), ())


def test_whoever_enrols_while_it_is_looked_at_is_not_taken_for_deleted(tmp_path: Path) -> None:
    known = {BOB: "Bob"}

    def names() -> dict[str, str]:
        found = dict(known)
        book.journal.write({"new": whole("new")})  # of Alice, who enrolled just now
        known[ALICE] = "Alice"
        return found

    book = open_book(None, tmp_path, KEY, names)
    assert book.settle("delete", LATER).deleted == ()
    assert book.settle("delete", LATER).deleted == ()
    book.close()


def test_what_was_deleted_lies_in_no_file(tmp_path: Path, names: dict[str, str]) -> None:
    book = open_book(None, tmp_path, KEY, lambda: names)
    marks = {stream: f"{number:032x}" for number, stream in enumerate(("one", "two", "three"), 9)}
    for stream, mark in marks.items():
        server = {"server": f"voxwatch {mark}"}  # as it stands in the entry
        book.journal.write({stream: whole(stream, claims=(), voiceprints=(), **server)})

    def left() -> set[str]:
        found = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
        return {stream for stream, mark in marks.items() if mark.encode() in found}

    assert left() == set(marks)
    book.delete("one", "chief", "asked to", LATER)
    assert left() == {"two", "three"}
    book.purge(LATER, LATER)
    assert left() == set()
    book.close()


def test_nobody_else_is_forgotten(book: Book, names: dict[str, str]) -> None:
    del names[BOB]
    for mode in ("pseudonymise", "delete"):
        forgotten = book.settle(mode, LATER)
        assert (forgotten.deleted, forgotten.pseudonymised) == ((), ())
    assert there(book) == {"one", "two", "other"}


def test_a_stream_that_goes_on_is_deleted_when_it_has_ended(
    book: Book, names: dict[str, str]
) -> None:
    book.journal.write({"live": [started("live"), score(1.0)]})
    del names[ALICE]
    now = T0 + 60
    assert "live" in book.settle("delete", now).pseudonymised
    book.journal.write({"live": [decision(2.0), whole("live")[-1]]})
    assert book.settle("delete", now).deleted == ("live",)
    assert book.verify().findings == ()


def test_a_stream_whose_server_was_killed_does_not_go_on(book: Book, names: dict[str, str]) -> None:
    book.journal.write({"live": [started("live"), score(1.0)]})
    del names[ALICE]
    assert "live" in book.settle("delete", T0 + UNDER_WAY_S + 1).deleted


@pytest.mark.parametrize("mode", ["pseudonymise", "delete"])
def test_the_records_of_a_line_of_a_roster_are_forgotten(book: Book, mode: Mode) -> None:
    candidate = "c0" * 16
    book.journal.write({"exam": whole("exam", exam="e", candidate=candidate)})
    forgotten = book.forget(candidate, mode, "chief", LATER)
    assert forgotten.deleted + forgotten.pseudonymised == ("exam",)
    assert ("exam" in there(book)) == (mode == "pseudonymise")
    assert book.verify().findings == ()


def test_a_line_that_was_forgotten_on_its_roster_is_forgotten_here(book: Book) -> None:
    candidate = "c0" * 16
    book.journal.write({"exam": whole("exam", exam="e", candidate=candidate)[:5]})
    now = T0 + 60
    assert book.settle("delete", now, {candidate}).pseudonymised == ("exam",)  # it goes on
    book.journal.write({"exam": whole("exam")[-1:]})
    assert book.settle("delete", now, {candidate, "d0" * 16}).deleted == ("exam",)
    assert there(book) == {"one", "two", "other"}
    assert book.verify().findings == ()


@pytest.mark.parametrize("mode", ["pseudonymise", "delete"])
def test_what_is_noted_after_a_line_was_forgotten_can_be_read(book: Book, mode: Mode) -> None:
    """Where the record stays: a line is forgotten once, as a person is."""
    candidate = "c0" * 16
    book.journal.write({"exam": whole("exam", exam="e", candidate=candidate)})
    hold(book, "exam")
    assert book.settle(mode, LATER, {candidate}).pseudonymised == ("exam",)
    book.act("exam", Acted(at=LATER, t=8.0, who="desk", act="note", text="seen again"))
    assert book.settle(mode, LATER, {candidate}).pseudonymised == ()
    notes = [entry.text for entry in book.history("exam") if isinstance(entry, Acted)]
    assert (notes[0], notes[-1]) == (ERASED, "seen again")
    facts = book.facts("exam")
    assert (facts.candidate, facts.people) == (candidate, ("Alice",))
    assert [one.stream for one in book.streams(person=candidate)] == ["exam"]
    assert book.verify().findings == ()


def test_what_is_noted_while_a_stream_goes_on_stays_until_it_ends(
    book: Book, names: dict[str, str]
) -> None:
    """Everybody in it is forgotten once; what was noted before somebody else's turn goes then."""
    now = T0 + 60
    book.journal.write({"live": whole("live", exam="e", candidate="c0" * 16)[:-1]})

    def noted() -> list[str]:
        return [one.text for one in book.history("live") if isinstance(one, Acted)][1:]

    def note(text: str) -> None:
        book.act("live", Acted(at=now, t=8.0, who="desk", act="note", text=text))

    note("before")
    assert "live" in book.settle("delete", now, {"c0" * 16}).pseudonymised
    note("after")
    for later in (now + 60, now + 120):
        assert book.settle("delete", later, {"c0" * 16}) == Forgotten()
        assert noted() == [ERASED, "after"]
    del names[ALICE]
    assert "live" in book.settle("delete", now + 180, {"c0" * 16}).pseudonymised
    assert noted() == [ERASED, ERASED]
    note("last")
    assert book.settle("delete", now + 240, {"c0" * 16}) == Forgotten()
    assert noted() == [ERASED, ERASED, "last"]
    assert book.verify().findings == ()
    book.journal.write({"live": whole("live")[-1:]})
    assert book.settle("delete", now + 300, {"c0" * 16}).deleted == ("live",)
    assert book.verify().findings == ()


def test_a_line_that_nobody_forgot_is_not_taken_for_a_deleted_person(book: Book) -> None:
    book.journal.write({"exam": whole("exam", exam="e", candidate="c0" * 16)})
    assert book.settle("delete", LATER) == Forgotten()
    assert "exam" in there(book)


def test_what_is_noted_after_names_were_erased_can_be_read(
    book: Book, names: dict[str, str]
) -> None:
    del names[ALICE]
    book.settle("pseudonymise", LATER)
    book.act("one", Acted(at=LATER, t=8.0, who="desk", act="note", text="seen again"))
    entries = book.history("one")
    notes = [entry.text for entry in entries if isinstance(entry, Acted)]
    assert notes == [ERASED, "seen again"]
    assert book.verify().findings == ()


def test_erased_texts_lie_nowhere_in_the_database(book: Book, names: dict[str, str]) -> None:
    wrapped = select(tables.streams.c.text_key).where(tables.streams.c.stream == "one")
    with book.journal.engine.connect() as connection:
        assert connection.scalar(wrapped)
    del names[ALICE]
    book.settle("pseudonymise", LATER)
    with book.journal.engine.connect() as connection:
        assert connection.scalar(wrapped) is None


def test_why_somebody_deleted_it_stands_nowhere_in_the_clear(book: Book) -> None:
    book.delete("one", "chief", "Alice Meier asked to", LATER)
    (note,) = [one for one in book.register("one") if one.act == "deleted"]
    assert (note.why, note.sealed_why) == ("Alice Meier asked to", "")
    with book.journal.engine.connect() as connection:
        bodies = connection.scalars(select(tables.register.c.body)).all()
    assert not any(b"Meier" in body for body in bodies)
    assert book.verify().findings == ()


def test_erased_keys_lie_in_no_file_of_the_table(
    book: Book, names: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Its own file: PostgreSQL's log and what the drive has freed are out of reach."""
    streams = tables.streams.c
    with book.journal.engine.connect() as connection:
        keys = connection.scalars(select(streams.text_key).where(streams.stream == "one")).all()
        assert keys[0]
    assert keys[0] in files_of(book, tmp_path, request)
    del names[ALICE]
    book.settle("pseudonymise", LATER)
    assert keys[0] not in files_of(book, tmp_path, request)
    with book.journal.engine.connect() as connection:
        assert "one" in connection.scalars(select(streams.stream)).all()


def files_of(book: Book, folder: Path, request: pytest.FixtureRequest) -> bytes:
    """All of SQLite's, and that of the table in PostgreSQL."""
    engine = book.journal.engine
    if engine.dialect.name == "sqlite":
        return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
    cluster: Cluster = request.getfixturevalue("cluster")
    cluster.run("CHECKPOINT")
    with engine.connect() as connection:
        name = connection.exec_driver_sql("SELECT pg_relation_filepath('record_streams')").scalar()
    return (cluster.data / str(name)).read_bytes()
