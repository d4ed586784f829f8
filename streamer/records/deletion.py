"""What becomes of records in time, and of the records of people who are deleted.

A record that is deleted leaves an entry in the register, which says when, by whom and why, and how
the chain ended. One that is pseudonymised stays as it is, and still verifies: names were never in
it, and the key of what people typed, and of clips of sound, is erased, and the clips with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Row, delete, func, select, update

from streamer.database import wipe
from streamer.records import register, tables
from streamer.records.errors import Held
from streamer.records.journal import Journal, find
from streamer.records.register import RegisterEntry

Mode = Literal["pseudonymise", "delete"]
SERVER = "the server"  # who deletes what is due
# A stream without an end is under way if it said something within so long; else its server was
# killed. What people do about it later does not count.
UNDER_WAY_S = 86400.0


class _When(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed of an entry here."""

    kind: str
    at: float


_when = msgspec.json.Decoder(_When)


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """Of which streams the records were deleted, and of which pseudonymised."""

    deleted: tuple[str, ...] = ()
    pseudonymised: tuple[str, ...] = ()


def remove(journal: Journal, stream: str, who: str, why: str, now: float) -> None:
    """Delete the record of a stream. Raises :class:`UnknownStream`, :class:`Held`.

    Of a stream that goes on the rest would be taken for a record without a beginning.
    """
    with journal.writing() as connection:
        row = find(connection, stream)
        if row.held_by is not None:
            raise Held(f"the record of stream {stream} is held by {row.held_by}: release it first")
        if _goes_on(connection, row, now):
            raise Held(
                f"stream {stream} goes on, or its server was killed within a day: end it first"
            )
        note = _remove(connection, row, who, "", now)
        sealed = journal.secret.reasons(stream).close(why)
        note = msgspec.structs.replace(note, sealed_why=sealed)
        register.note(connection, journal.secret, note)
    _wipe(journal)


def purge(journal: Journal, before: float, now: float) -> tuple[str, ...]:
    """Delete the records of streams that ended before then, but for those that are held.

    A stream without an end ended with the last that it said.
    """
    streams = tables.streams.c
    over = func.coalesce(streams.ended_at, streams.started_at) < before
    with journal.writing() as connection:
        due = select(tables.streams).where(over, streams.held_by.is_(None)).with_for_update()
        found = connection.execute(due).all()
        rows = [row for row in found if _last_heard(connection, row) < before]
        why = "records_days"
        notes = [_remove(connection, row, SERVER, why, now) for row in rows]
        register.note(connection, journal.secret, *notes)
    if rows:
        _wipe(journal)
    return tuple(row.stream for row in rows)


def forget(journal: Journal, person: str, mode: Mode, who: str, now: float) -> Forgotten:
    """Delete or pseudonymise all records of a person, or of a line of a roster.

    What is held is pseudonymised in either case. Streams that go on are pseudonymised, and deleted
    by :func:`settle` when they have ended: what is noted until then can be read.
    """
    people, streams = tables.people.c, tables.streams
    theirs = select(streams, people.forgotten_at).join(tables.people)
    wanted = theirs.where(people.person == person).with_for_update(of=streams)
    deleted, pseudonymised, notes = [], [], []
    with journal.writing() as connection:
        for row in connection.execute(wanted).all():
            goes_on = _goes_on(connection, row, now)
            if mode == "delete" and row.held_by is None and not goes_on:
                notes.append(_remove(connection, row, who, "a person was deleted", now))
                deleted.append(row.stream)
                continue
            if row.text_key is not None and row.forgotten_at is None:
                notes.append(_erase_texts(connection, row, who, now))
                pseudonymised.append(row.stream)
            of = (people.stream == row.stream, people.person == person)
            if mode == "pseudonymise" or row.held_by is not None:
                connection.execute(delete(tables.people).where(*of))
            elif row.forgotten_at is None:
                connection.execute(update(tables.people).where(*of).values(forgotten_at=now))
        register.note(connection, journal.secret, *notes)
    if notes:
        _wipe(journal)
    return Forgotten(deleted=tuple(deleted), pseudonymised=tuple(pseudonymised))


def silence(journal: Journal, candidates: Collection[str], who: str, now: float) -> tuple[str, ...]:
    """Delete all clips of candidates, also what is held; of which streams there were any.

    ``candidates`` are references of lines of rosters, who take back that sound is kept.
    """
    clips, streams = tables.clips, tables.streams
    theirs = select(streams.c.stream).where(streams.c.candidate.in_(candidates))
    of_them = clips.c.stream.in_(theirs)
    with journal.writing() as connection:
        # Locked: one of their clips that is being written is waited for, and goes as well.
        connection.execute(theirs.order_by(streams.c.stream).with_for_update()).all()
        found = sorted(connection.scalars(select(clips.c.stream).where(of_them).distinct()))
        connection.execute(delete(clips).where(of_them))
        why = "consent to clips was taken back"
        notes = (RegisterEntry(at=now, act="silenced", stream=s, who=who, why=why) for s in found)
        register.note(connection, journal.secret, *notes)
    if found:
        wipe(journal.engine, clips)
    return tuple(found)


def settle(
    journal: Journal,
    there: Callable[[], Collection[str]],
    lines: Collection[str],
    mode: Mode,
    now: float,
) -> Forgotten:
    """Forget whoever is in the record and not among those who are ``there`` any more.

    ``lines`` are those of rosters that were forgotten.
    So it does not matter by which way somebody was deleted, and by which process. Who is there is
    asked after the record was read: somebody who enrols meanwhile is not taken for deleted.
    """
    with journal.writing() as connection:
        recorded = set(connection.scalars(select(tables.people.c.person).distinct()))
        candidates = set(connection.scalars(select(tables.streams.c.candidate).distinct()))
    gone = sorted(recorded - candidates - set(there()) | recorded & set(lines))
    return _together(forget(journal, person, mode, SERVER, now) for person in gone)


def _wipe(journal: Journal) -> None:
    """Keys of texts that were erased are in the files of the database no more.

    They lie in one table alone. Without them nothing that people typed can be read.
    """
    wipe(journal.engine, tables.streams)


def _goes_on(connection: Connection, row: Row[Any], now: float) -> bool:
    """Whether a stream is, or may be, under way."""
    return row.ended_at is None and _last_heard(connection, row) > now - UNDER_WAY_S


def _last_heard(connection: Connection, row: Row[Any]) -> float:
    """When a stream ended; of one without an end when it last said something."""
    if row.ended_at is not None:
        return float(row.ended_at)
    entries = tables.entries.c
    wanted = select(entries.body).where(entries.stream == row.stream)
    wanted = wanted.order_by(entries.number.desc()).execution_options(yield_per=16)
    with contextlib.closing(connection.scalars(wanted)) as bodies:
        for body in bodies:
            with contextlib.suppress(msgspec.MsgspecError):  # of one that was changed
                entry = _when.decode(body)
                if entry.kind != "acted":
                    return entry.at
    return float(row.started_at)


def _together(several: Iterable[Forgotten]) -> Forgotten:
    found = list(several)
    return Forgotten(
        deleted=tuple(stream for one in found for stream in one.deleted),
        pseudonymised=tuple(stream for one in found for stream in one.pseudonymised),
    )


def _remove(connection: Connection, row: Row[Any], who: str, why: str, now: float) -> RegisterEntry:
    for table in (tables.entries, tables.people, tables.clips, tables.streams):
        connection.execute(delete(table).where(table.c.stream == row.stream))
    return RegisterEntry(
        at=now,
        act="deleted",
        stream=row.stream,
        who=who,
        count=row.length,
        hash=row.hash.hex(),
        why=why,
    )


def _erase_texts(connection: Connection, row: Row[Any], who: str, now: float) -> RegisterEntry:
    streams, clips = tables.streams, tables.clips
    connection.execute(delete(clips).where(clips.c.stream == row.stream))
    erased = update(streams).where(streams.c.stream == row.stream).values(text_key=None)
    connection.execute(erased)
    return RegisterEntry(
        at=now, act="pseudonymised", stream=row.stream, who=who, why="a person was deleted"
    )
