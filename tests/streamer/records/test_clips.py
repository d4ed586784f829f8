"""Sound of incidents: sealed beside the record, noted in its chain, gone with it."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from recorded import ALICE, KEY, NAMES, T0, whole
from sqlalchemy import Connection, delete, insert, inspect, select, update

from engine.audio.recent import RecentSound
from streamer.database import History, migrate, open_database, writing
from streamer.records import tables
from streamer.records.book import Book
from streamer.records.chain import REGISTER, start
from streamer.records.clip_writer import ClipWriter, Permission
from streamer.records.entries import Acted, Clip
from streamer.records.errors import Held, UnknownClip
from streamer.records.opening import HISTORY, RECORDS_FILE, open_book
from streamer.records.signing import Secret
from streamer.records.sound import clip_of, span_of

TONE = (8000 * np.sin(np.arange(160_000) * 2 * np.pi * 440 / 16_000)).astype(np.int16)
ID = "one/1"
BEFORE = History(HISTORY.folder, HISTORY.table, "0001", HISTORY.tables)


def yes(_: Connection) -> bool:
    return True


def no(_: Connection) -> bool:
    return False


@pytest.fixture
def kept(book: Book) -> Book:
    """A record of a stream of Alice, with the sound of an incident."""
    book.journal.write({"one": whole("one"), "two": whole("two")})
    clip, ogg = clip_of(ID, 16_000, TONE, T0 + 9)
    assert book.journal.keep_clip("one", clip, ogg, yes)
    return book


def found(book: Book) -> list[str]:
    return [one.what for one in book.verify().findings]


def rows(book: Book) -> int:
    with book.journal.writing() as connection:
        return len(connection.execute(select(tables.clips)).all())


def test_whoever_listens_hears_what_was_said(kept: Book) -> None:
    ogg = kept.clip("one", ID)
    sound, rate = sf.read(io.BytesIO(ogg))
    assert sf.info(io.BytesIO(ogg)).subtype == "OPUS"
    assert (rate, len(sound)) == (16_000, 160_000)
    loudest = np.fft.rfftfreq(len(sound), 1 / rate)[np.abs(np.fft.rfft(sound)).argmax()]
    assert abs(loudest - 440) < 1


def test_the_chain_has_its_hash_and_verifies(kept: Book) -> None:
    clip = kept.history("one")[-1]
    assert isinstance(clip, Clip)
    assert (clip.incident, clip.since, clip.until) == (ID, 1.0, 11.0)
    assert clip.sha256 == hashlib.sha256(kept.clip("one", ID)).hexdigest()
    assert found(kept) == []
    assert kept.register("one")[-1].count == kept.head("one").count  # also after the end


def test_nothing_of_it_can_be_read_in_the_file(tmp_path: Path) -> None:
    book = open_book(None, tmp_path, KEY, lambda: NAMES)
    book.journal.write({"one": whole("one")})
    book.journal.keep_clip("one", *clip_of(ID, 0, TONE, T0 + 9), yes)
    book.close()
    files = b"".join(file.read_bytes() for file in tmp_path.glob("records.db*"))
    assert ID.encode() in files
    assert b"OggS" not in files
    assert b"OpusHead" not in files


def _drop(book: Book) -> None:
    with book.journal.writing() as connection:
        connection.execute(delete(tables.clips))


def _change(book: Book) -> None:
    with book.journal.writing() as connection:
        sealed = connection.scalar(select(tables.clips.c.sealed))
        assert sealed is not None
        other = sealed[:-20] + bytes([sealed[-20] ^ 1]) + sealed[-19:]
        connection.execute(update(tables.clips).values(sealed=other))


def _exchange(book: Book) -> None:
    """Another sound, sealed with the stream's own key."""
    with book.journal.writing() as connection:
        key = connection.scalar(
            select(tables.streams.c.text_key).where(tables.streams.c.stream == "one")
        )
        assert key is not None
        sealed = book.journal.secret.texts("one", key).close_clip(b"OggS", ID)
        connection.execute(update(tables.clips).values(sealed=sealed))


def _move(book: Book) -> None:
    with book.journal.writing() as connection:
        connection.execute(update(tables.clips).values(stream="two"))


def _add(book: Book) -> None:
    with book.journal.writing() as connection:
        values = {"stream": "two", "incident": "two/1", "sealed": b"x"}
        connection.execute(insert(tables.clips).values(**values))


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (_drop, "the sound of incident one/1 is lacking"),
        (_change, "the sound of incident one/1 was changed"),
        (_exchange, "the sound of incident one/1 was changed"),
        (_move, "the sound of incident one/1 is lacking"),
        (_add, "there is sound of incident two/1, and no entry says so"),
    ],
)
def test_what_was_done_to_it_is_told(kept: Book, tamper: Callable[[Book], None], told: str) -> None:
    tamper(kept)
    assert told in found(kept)


def test_it_goes_with_its_record(kept: Book) -> None:
    kept.delete("one", "admin", "asked to", T0 + 99)
    assert rows(kept) == 0
    assert found(kept) == []


def test_it_goes_when_the_time_of_its_record_has_run_out(kept: Book) -> None:
    assert set(kept.purge(T0 + 50, T0 + 99)) == {"one", "two"}
    assert rows(kept) == 0
    assert found(kept) == []


def test_a_hold_keeps_it(kept: Book) -> None:
    kept.act("one", Acted(at=T0 + 20, t=8.0, who="dean", act="hold"))
    kept.purge(T0 + 50, T0 + 99)
    with pytest.raises(Held):
        kept.delete("one", "admin", "asked to", T0 + 99)
    assert kept.clip("one", ID)


def test_it_goes_when_the_person_is_forgotten_and_the_record_verifies(kept: Book) -> None:
    kept.forget(ALICE, "pseudonymise", "admin", T0 + 50)
    assert rows(kept) == 0
    assert found(kept) == []
    with pytest.raises(UnknownClip):
        kept.clip("one", ID)


def test_a_clip_on_its_way_brings_no_erased_key_back(kept: Book) -> None:
    kept.forget(ALICE, "pseudonymise", "admin", T0 + 50)
    clip, ogg = clip_of("one/2", 0, TONE, T0 + 51)
    assert not kept.journal.keep_clip("one", clip, ogg, yes)
    assert rows(kept) == 0
    assert found(kept) == []


def test_a_clip_on_its_way_is_not_kept_where_it_is_allowed_no_more(book: Book) -> None:
    book.journal.write({"one": whole("one")})
    book.forget(ALICE, "pseudonymise", "admin", T0 + 50)
    # What a desk types now has a key again.
    book.act("one", Acted(at=T0 + 51, t=8.0, who="desk", act="note", text="gone"))
    assert not book.journal.keep_clip("one", *clip_of(ID, 0, TONE, T0 + 52), no)
    assert rows(book) == 0
    assert not [entry for entry in book.history("one") if isinstance(entry, Clip)]


def test_who_listened_is_in_the_register(kept: Book) -> None:
    kept.listen("one", ID, "desk", T0 + 30)
    (viewed,) = [one for one in kept.register("one") if one.act == "viewed"]
    assert (viewed.who, viewed.why) == ("desk", "sound of incident one/1")


def test_incidents_are_the_same_with_and_without_it(kept: Book) -> None:
    mine, theirs = kept.incidents("one"), kept.incidents("two")
    assert [(one.kind, one.since, one.until) for one in mine] == [
        (one.kind, one.since, one.until) for one in theirs
    ]


def test_records_of_before_get_the_table(database_url: str | None, tmp_path: Path) -> None:
    engine = open_database(database_url, tmp_path, RECORDS_FILE)
    migrate(engine, BEFORE)
    secret = Secret.new()
    with writing(engine) as connection:
        about = {"id": 1, "secret": secret.sealed(KEY), "length": 0, "hash": start(REGISTER)}
        signature = bytes.fromhex(secret.sign(REGISTER, 0, start(REGISTER)).signature)
        connection.execute(insert(tables.about).values(about | {"signature": signature}))
    assert not inspect(engine).has_table("record_clips")
    engine.dispose()
    book = open_book(database_url, tmp_path, KEY, lambda: NAMES)
    book.journal.write({"one": whole("one")})
    assert book.journal.keep_clip("one", *clip_of(ID, 0, TONE, T0 + 9), yes)
    assert book.clip("one", ID)
    assert found(book) == []
    book.close()


def test_the_writer_writes_what_waits_before_it_closes(book: Book) -> None:
    book.journal.write({"one": whole("one")})
    writer = ClipWriter(book.journal)
    writer.put("one", "one/3", 0, TONE, Permission(lambda: True, no))
    writer.put("one", "one/4", 0, TONE, Permission(lambda: False, yes))
    writer.put("one", ID, 0, TONE, Permission(lambda: True, yes))
    writer.close(60.0)
    assert book.clip("one", ID)
    writer.put("one", "one/2", 0, TONE, Permission(lambda: True, yes))  # it is closed
    assert rows(book) == 1


def test_others_may_write_while_it_is_asked_whose_sound_it_is(
    book: Book, database_url: str | None, tmp_path: Path
) -> None:
    """That waits for the store, and whoever has the store may wait to write here."""
    book.journal.write({"one": whole("one")})
    other = open_database(database_url, tmp_path, RECORDS_FILE, busy_s=0.2)

    def known() -> bool:
        with writing(other) as connection:
            connection.execute(update(tables.streams).values(held_by="desk"))
        return True

    writer = ClipWriter(book.journal)
    writer.put("one", ID, 0, TONE, Permission(known, yes))
    writer.close(60.0)
    other.dispose()
    assert book.clip("one", ID)
    assert book.facts("one").held_by == "desk"


def test_a_clip_that_is_being_written_goes_with_those_that_there_are(book: Book) -> None:
    """It was allowed when it was asked for, and is taken back before it is written."""
    book.journal.write({"one": whole("one", candidate="line")})
    silenced: list[tuple[str, ...]] = []
    taking_back = threading.Thread(
        target=lambda: silenced.append(book.silence({"line"}, "her", T0 + 60))
    )

    def holds(_: Connection) -> bool:
        taking_back.start()
        taking_back.join(0.5)  # as long as a fault would take, and no longer than it waits
        return True

    assert book.journal.keep_clip("one", *clip_of(ID, 0, TONE, T0 + 9), holds)
    taking_back.join()
    assert silenced == [("one",)]
    assert rows(book) == 0


@pytest.mark.parametrize(
    ("since_s", "heard_s", "span_s"),
    [
        (12.0, 15.0, (7.0, 17.0)),  # the rest is to come
        (2.0, 8.0, (0.0, 7.0)),  # there is no sound before the first
        (12.0, 41.0, (11.0, 17.0)),  # some of it has gone
        (3.0, 60.0, (50.0, 60.0)),  # it began before what is held
    ],
)
def test_which_seconds_are_kept(
    since_s: float, heard_s: float, span_s: tuple[float, float]
) -> None:
    recent = RecentSound(30 * 16_000, 0)
    recent.add(np.zeros(round(heard_s * 16_000), np.float32))
    assert span_of(since_s, recent) == tuple(round(one * 16_000) for one in span_s)
