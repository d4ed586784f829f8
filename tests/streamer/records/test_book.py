"""What is written into the record is read from it, with names in place of references."""

from __future__ import annotations

import pytest
from recorded import ALICE, T0, decision, score, started, whole
from sqlalchemy import select, update

from engine import events
from streamer.records import tables
from streamer.records.book import Book
from streamer.records.entries import Acted, AnyEntry, Started, Told
from streamer.records.errors import RecordError, UnknownStream


def test_what_was_written_is_read_in_order(book: Book) -> None:
    entries = whole("one")
    book.journal.write({"one": entries[:3]})
    book.journal.write({"one": entries[3:]})
    read = book.history("one")
    assert [type(one) for one in read] == [type(one) for one in entries]
    assert [one.at for one in read] == [one.at for one in entries]
    assert book.history("one", after=5, limit=2) == read[5:7]


def test_names_and_texts_stand_in_what_is_read(book: Book) -> None:
    book.journal.write({"one": whole("one")})
    read = book.history("one")
    first, told, note = read[0], read[5], read[6]
    assert isinstance(first, Started)
    assert isinstance(told, Told)
    assert isinstance(note, Acted)
    assert (first.label, first.claims, first.voiceprints[0].speaker) == (
        "desk 7",
        ("Alice",),
        "Alice",
    )
    assert told.event.reason == "Alice speaks"
    assert note.text == "Alice looks well"


def test_no_name_and_no_text_lies_in_the_database(book: Book) -> None:
    book.journal.write({"one": whole("one")})
    with book.journal.engine.connect() as connection:
        stored = b"".join(connection.scalars(select(tables.entries.c.body)))
    assert b"Alice" not in stored
    assert b"desk 7" not in stored


def test_streams_are_found_by_exam_person_and_time(book: Book) -> None:
    book.journal.write({"one": whole("one", exam="e", candidate="c0" * 16), "two": whole("two")})
    book.journal.write({"late": whole("late", at=T0 + 100, claims=(), voiceprints=())[:5]})
    assert [one.stream for one in book.streams()] == ["one", "two", "late"]
    assert [one.stream for one in book.streams(exam="e")] == ["one"]
    assert [one.stream for one in book.streams(person=ALICE)] == ["one", "two"]
    assert [one.stream for one in book.streams(person="c0" * 16)] == ["one"]
    assert [one.stream for one in book.streams(since=T0 + 50)] == ["late"]
    facts = book.facts("one")
    assert (facts.people, facts.ended_at, facts.entries) == (("Alice",), T0 + 8, 9)
    assert facts.candidate == "c0" * 16


def test_an_act_after_the_end_goes_into_the_record(book: Book) -> None:
    book.journal.write({"one": whole("one")})
    acted = Acted(at=T0 + 50, t=8.0, who="desk", act="verdict", verdict="cleared", text="fine")
    assert book.act("one", acted) == 10
    assert book.history("one")[-1] == acted


def test_a_stream_that_there_is_none_of_is_said(book: Book) -> None:
    for ask in (book.history, book.head, book.facts):
        with pytest.raises(UnknownStream):
            ask("none")
    with pytest.raises(UnknownStream):
        book.act("none", Acted(at=T0, t=0.0, who="desk", act="note"))


def test_a_name_that_is_gone_is_told_by_a_number(book: Book) -> None:
    gone: list[AnyEntry] = [*whole("one")[:1], score(1.0), decision(2.0, speaker="dd" * 16)]
    book.journal.write({"one": gone})
    told = book.history("one")[2]
    assert isinstance(told, Told)
    assert told.event.speaker == "(deleted dddddddd)"


def test_an_entry_that_was_changed_into_none_is_told_and_hides_no_other_stream(book: Book) -> None:
    book.journal.write({"one": whole("one"), "two": whole("two")})
    first = (tables.entries.c.stream == "one") & (tables.entries.c.number == 1)
    with book.journal.engine.begin() as connection:
        connection.execute(update(tables.entries).where(first).values(body=b'{"kind":"x"}'))
    for read in (book.history, book.incidents):
        with pytest.raises(RecordError, match="stream one: an entry cannot be read"):
            read("one")
    assert [(one.stream, one.label) for one in book.streams()] == [("one", ""), ("two", "desk 7")]
    assert book.facts("one").entries == 9


def test_an_event_is_read_as_it_was_told(book: Book) -> None:
    said: list[AnyEntry] = [
        Told(at=T0, t=1.0, event=event)
        for event in (
            events.Decision(
                t=1.0,
                state="uncertain",
                speaker=None,
                since=1.0,
                llr=None,
                net_speech_s=0.0,
                reason="",
                cause="noisy",
                advice="go on",
            ),
            events.Quality(
                t=1.0,
                level_dbfs=None,
                clipped=0.0,
                snr_db=None,
                speech_share=0.0,
                problems=("quiet",),
            ),
            events.Lag(t=1.0, reason="overload", behind_s=2.0, hop_s=None, dropped=0),
            events.Failure(t=1.0, code="not-recorded", message=""),
            events.Change(
                t=1.0, at=0.5, detected_at=1.0, llr=2.0, from_speaker=None, to_speaker="voice-2"
            ),
            events.Utterance(
                t=1.0, start=0.0, end=1.0, speech_s=0.9, state="unknown", speaker=None, llr=None
            ),
        )
    ]
    book.journal.write({"one": [started("one"), *said]})
    assert book.history("one")[1:] == said
