"""Entries on their way into the database: numbered, linked, signed, in one transaction a batch.

Every writer reads where a chain ends within the transaction that goes on with it, so that several
processes may write to one database, also to one stream: the server that hears it, and whoever acts
on it from elsewhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from engine import events
from streamer.database import explained, writing
from streamer.records import register, tables
from streamer.records.chain import Head, link, start
from streamer.records.entries import Acted, AnyEntry, Ended, Started, Terms, Told
from streamer.records.errors import BrokenChain, RecordError, UnknownStream
from streamer.records.register import RegisterEntry
from streamer.records.signing import Secret, Texts
from streamer.store.seal import BrokenSeal

Batch = Mapping[str, Sequence[AnyEntry]]  # entries by stream


class Journal:
    """The tables of records, and the secret that they are signed with. Any thread may use it."""

    def __init__(self, engine: Engine, secret: Secret) -> None:
        self.engine, self.secret = engine, secret

    def write(self, batch: Batch) -> None:
        """Append all of it or nothing; it is on the disk when this returns."""
        with self.writing() as connection:
            notes = [
                note
                for stream, entries in batch.items()
                for note in self._append(connection, stream, entries)
            ]
            register.note(connection, self.secret, *notes)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction, on the disk when this returns. Raises :class:`RecordError`."""
        with explained(self.engine, "record", RecordError), writing(self.engine) as connection:
            yield connection

    def append(self, stream: str, entry: AnyEntry) -> Head:
        """One entry to a stream that there is; the head then. Raises :class:`UnknownStream`."""
        with self.writing() as connection:
            find(connection, stream)
            register.note(connection, self.secret, *self._append(connection, stream, [entry]))
            row = find(connection, stream)
        return self.secret.sign(stream, row.length, row.hash)

    def _append(
        self, connection: Connection, stream: str, entries: Sequence[AnyEntry]
    ) -> Iterable[RegisterEntry]:
        """Go on with a chain; what the register is to say of it."""
        row = _row(connection, stream)
        if row is None:
            self._open(connection, stream, entries[0])
            yield RegisterEntry(at=entries[0].at, act="opened", stream=stream)
            row = find(connection, stream)
        texts, fresh_key = self._texts(row), None
        if texts is None and any(isinstance(one, Acted) and one.text for one in entries):
            fresh_key = self.secret.new_text_key(stream)  # of what is typed after the erasure
            texts = self.secret.texts(stream, fresh_key)
        count, last = row.length, row.hash
        rows = []
        for entry in entries:
            body = msgspec.json.encode(_sealed(entry, texts))
            count, last = count + 1, link(last, count + 1, body)
            rows.append({"stream": stream, "number": count, "hash": last, "body": body})
        try:
            connection.execute(insert(tables.entries), rows)
        except IntegrityError as error:  # there are more entries than the head says
            raise BrokenChain(stream) from error
        self._note_people(connection, stream, entries)
        head = self.secret.sign(stream, count, last)
        changed: dict[str, Any] = {"length": count, "hash": last}
        changed["signature"] = bytes.fromhex(head.signature)
        ended = [one.at for one in entries if isinstance(one, Ended)]
        if ended:
            changed["ended_at"] = ended[-1]
        if fresh_key is not None:
            changed["text_key"] = fresh_key
        changed |= _hold(entries)
        streams = tables.streams
        connection.execute(update(streams).where(streams.c.stream == stream).values(changed))
        if ended or any(isinstance(one, Acted) for one in entries):
            yield RegisterEntry(
                at=entries[-1].at, act="sealed", stream=stream, count=count, hash=head.hash
            )

    def _texts(self, row: Row[Any]) -> Texts | None:
        try:
            return row.text_key and self.secret.texts(row.stream, row.text_key)
        except BrokenSeal as error:
            raise BrokenChain(row.stream) from error

    def _open(self, connection: Connection, stream: str, first: AnyEntry) -> None:
        """The row of a stream; ``first`` is no start where that could not be written."""
        facts = first if isinstance(first, Started) else None
        link_before = start(stream)
        head = self.secret.sign(stream, 0, link_before)
        connection.execute(
            insert(tables.streams).values(
                stream=stream,
                exam=facts and facts.exam,
                candidate=facts and facts.candidate,
                started_at=first.at,
                text_key=self.secret.new_text_key(stream),
                length=0,
                hash=link_before,
                signature=bytes.fromhex(head.signature),
            )
        )

    def _note_people(
        self, connection: Connection, stream: str, entries: Sequence[AnyEntry]
    ) -> None:
        found = people_in(entries)
        if not found:
            return
        people = tables.people
        known = set(connection.scalars(select(people.c.person).where(people.c.stream == stream)))
        if new := sorted(found - known):
            rows = [{"stream": stream, "person": person} for person in new]
            connection.execute(insert(people), rows)


def people_in(entries: Iterable[AnyEntry]) -> set[str]:
    """References of those whose record this is: who was claimed, and who was recognised."""
    found: set[str] = set()
    for entry in entries:
        if isinstance(entry, Terms):
            found.update(one.speaker for one in entry.voiceprints)
        elif isinstance(entry, Told) and (speaker := _recognised(entry.event)):
            found.add(speaker)
    return found


def _recognised(event: events.Event) -> str | None:
    if isinstance(event, events.Decision) and event.state == "match":
        return event.speaker
    return None


def find(connection: Connection, stream: str) -> Row[Any]:
    """The row of a stream. Raises :class:`UnknownStream`."""
    if (row := _row(connection, stream)) is None:
        raise UnknownStream(f"there is no record of a stream {stream[:64]!r}, or not any more")
    return row


def _row(connection: Connection, stream: str) -> Row[Any] | None:
    """Locked where this transaction may write: whoever goes on with a chain waits for the other."""
    found = select(tables.streams).where(tables.streams.c.stream == stream)
    if not connection.get_execution_options().get("postgresql_readonly"):
        found = found.with_for_update()
    return connection.execute(found).one_or_none()


def _sealed(entry: AnyEntry, texts: Texts | None) -> AnyEntry:
    """The entry as it is stored: what people typed is sealed, or left out if it was erased."""
    if isinstance(entry, Started) and entry.label:
        return msgspec.structs.replace(entry, label=texts.close(entry.label) if texts else "")
    if isinstance(entry, Acted) and entry.text:
        return msgspec.structs.replace(entry, text=texts.close(entry.text) if texts else "")
    return entry


def _hold(entries: Sequence[AnyEntry]) -> dict[str, Any]:
    """Who keeps the record from being deleted, where that changes."""
    held = [e for e in entries if isinstance(e, Acted) and e.act in ("hold", "release")]
    if not held:
        return {}
    return {"held_by": held[-1].who if held[-1].act == "hold" else None}
