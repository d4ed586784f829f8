"""Heads that were kept elsewhere are told from those of others, whatever was deleted since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from recorded import KEY, NAMES, T0, whole
from sqlalchemy import delete, update
from tamperer import ABOUT, LIST, Tamperer, tampering

from streamer.records.book import Book
from streamer.records.chain import REGISTER, Head, start
from streamer.records.entries import Acted
from streamer.records.kept_heads import KeptHead
from streamer.records.opening import open_book

LATER = T0 + 90 * 86400.0


@pytest.fixture
def kept(book: Book) -> Book:
    book.journal.write({"one": whole("one"), "two": whole("two")})
    return book


def go_on(book: Book, stream: str = "one") -> None:
    book.act(stream, Acted(at=T0 + 60, t=8.0, who="chief", act="note", text="seen"))


def said(book: Book, head: Head) -> KeptHead:
    found = book.verify(heads=[head])
    assert found.findings == ()
    (answer,) = found.kept
    assert (answer.chain, answer.count, answer.hash) == (head.chain, head.count, head.hash)
    return answer


def register(book: Book) -> Head:
    return book.verify().head


def by_hand(head: Head) -> Head:
    """As a page shows it: a part of the hash, and no signature."""
    return Head(chain=head.chain, count=head.count, hash=head.hash[:16])


def other(head: Head, **values: Any) -> Head:
    return msgspec.structs.replace(head, **values)


def changed(digits: str) -> str:
    return ("0" if digits[0] != "0" else "1") + digits[1:]


@pytest.mark.parametrize("form", [lambda head: head, by_hand])
def test_a_head_is_known_after_the_record_went_on(kept: Book, form: Any) -> None:
    stream, all_of_it = kept.head("one"), register(kept)
    assert said(kept, form(stream)).own
    assert said(kept, form(all_of_it)).own
    go_on(kept)
    assert kept.head("one").count > stream.count
    assert said(kept, form(stream)).what == (
        f"this record had it; the stream has {stream.count + 1} entries now"
    )
    answer = said(kept, form(all_of_it))
    assert (answer.own, f"{register(kept).count} entries now" in answer.what) == (True, True)


def test_the_head_of_an_empty_register_is_known(book: Book) -> None:
    empty = register(book)
    assert (empty.count, empty.hash) == (0, start(REGISTER).hex())
    book.journal.write({"one": whole("one")})
    assert said(book, empty).own


@pytest.mark.parametrize("part", ["hash", "signature"])
@pytest.mark.parametrize("of", ["one", REGISTER])
def test_an_altered_head_is_told(kept: Book, part: str, of: str) -> None:
    head = register(kept) if of == REGISTER else kept.head(of)
    altered = other(head, **{part: changed(getattr(head, part))})
    answer = said(kept, altered)
    assert (answer.own, "its signature is not of this record" in answer.what) == (False, True)
    unsigned = other(altered, signature="")
    assert said(kept, unsigned).own is (part == "signature")


def test_a_head_of_another_place_is_told(kept: Book) -> None:
    head = other(kept.head("one"), signature="")
    for wrong in (
        other(head, count=head.count - 1),
        other(head, count=head.count + 1),
        other(head, count=10**30),
        other(head, chain="two"),
        other(head, chain="none\0"),
        other(head, chain=REGISTER),
        other(register(kept), count=10**30, signature=""),
    ):
        assert said(kept, wrong).own is False
    assert "never had it" in said(kept, other(head, count=head.count + 1)).what
    assert "no such stream" in said(kept, other(head, chain="none")).what


def test_a_foreign_head_is_told(kept: Book, tmp_path: Path) -> None:
    """The other record has streams of the same names, and the same entries."""
    theirs = open_book(None, tmp_path / "other", KEY, lambda: NAMES)
    theirs.journal.write({"one": whole("one"), "two": whole("two")})
    heads = [theirs.head("one"), register(theirs)]
    theirs.close()
    for head in heads:
        answer = said(kept, head)
        assert (answer.own, "of another record, whose key" in answer.what) == (False, True)
        claimed = other(head, key=register(kept).key)
        assert (said(kept, claimed).own, said(kept, other(claimed, key="")).own) == (False, False)


@pytest.mark.parametrize("by_whom", ["a person", "its age"])
def test_a_head_of_a_deleted_stream_is_known(kept: Book, by_whom: str) -> None:
    early = kept.head("one")
    go_on(kept)
    last = kept.head("one")
    if by_whom == "a person":
        kept.delete("one", "chief", "asked to", LATER)
    else:
        kept.purge(T0 + 3600, LATER)
    for head in (early, last, by_hand(last)):
        answer = said(kept, head)
        assert (answer.own, "the stream was deleted on 2027-" in answer.what) == (True, True)
    assert said(kept, other(by_hand(last), hash="0" * 16)).own is False
    assert said(kept, other(by_hand(last), count=last.count + 1)).own is False
    answer = said(kept, other(by_hand(last), count=2))  # between its beginning and its end
    assert (answer.own, "its signature would tell" in answer.what) == (None, True)


def test_a_head_of_before_the_register_began_anew_is_known(kept: Book) -> None:
    stream, early = kept.head("one"), register(kept)
    kept.purge(T0 + 3600, LATER)
    assert kept.shorten_register(LATER, LATER + 1) == early.count
    kept.journal.write({"three": whole("three")})
    at_the_cut = said(kept, by_hand(early))
    assert (at_the_cut.own, "had it" in at_the_cut.what) == (True, True)
    kept.purge(LATER, LATER)
    assert kept.shorten_register(LATER + 3600, LATER + 3601) > 0
    answers = [said(kept, stream), said(kept, early)]
    assert [one.own for one in answers] == [True, True]
    assert "the register has begun anew since" in answers[0].what
    assert "the register began anew after entry" in answers[1].what
    assert [said(kept, by_hand(head)).own for head in (stream, early)] == [None, None]
    assert said(kept, other(early, heads="")).own is None  # as earlier reports have it
    for head in (stream, early):
        assert said(kept, other(head, signature=changed(head.signature))).own is False
        assert said(kept, other(head, count=head.count - 1)).own is False


def test_a_head_that_was_signed_and_is_there_no_more_is_told(kept: Book) -> None:
    """Somebody put the register back, or the stream, to what it was before."""
    early = {"register": _about(kept), "stream": _row(kept)}
    go_on(kept)
    stream, all_of_it = kept.head("one"), register(kept)
    with tampering(kept) as connection:
        Tamperer(connection, {}).remove(stream.count)
        Tamperer(connection, {}).column(**early["stream"])
        connection.execute(delete(LIST).where(LIST.c.number > early["register"]["length"]))
        connection.execute(update(ABOUT).values(early["register"]))
    for head in (stream, all_of_it):
        answer = said(kept, head)
        assert (answer.own, "put back to an earlier state" in answer.what) == (False, True)


def test_a_spoilt_entry_of_the_register_is_found_and_no_error(kept: Book) -> None:
    head = kept.head("one")
    kept.delete("one", "chief", "asked to", LATER)
    with tampering(kept) as connection:
        for row in connection.execute(LIST.select()).all():
            body = bytes(row.body).replace(head.hash.encode(), b"no hash")
            connection.execute(update(LIST).where(LIST.c.number == row.number).values(body=body))
    found = kept.verify(heads=[head])
    assert found.findings
    assert found.kept[0].own is False


def test_streams_of_heads_are_verified_whatever_is_asked_for(kept: Book) -> None:
    head = other(kept.head("two"), signature="")
    assert (kept.verify("one").streams, kept.verify("one", heads=[head]).streams) == (1, 2)
    with tampering(kept) as connection:
        Tamperer(connection, {}).entry(2, "two", body=b"{}")
    assert kept.verify("one").findings == ()
    for one, exam in (("one", None), (None, "e-1")):
        found = kept.verify(one, exam, [head])
        assert found.findings[0].chain == "two"


def _about(book: Book) -> dict[str, Any]:
    with tampering(book) as connection:
        row = connection.execute(ABOUT.select()).one()
    return {name: getattr(row, name) for name in ("length", "hash", "signature", "heads")}


def _row(book: Book) -> dict[str, Any]:
    with tampering(book) as connection:
        row = Tamperer(connection, {}).of("one")
    return {name: getattr(row, name) for name in ("length", "hash", "signature")}
