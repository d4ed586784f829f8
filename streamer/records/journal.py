"""Entries on their way into the database: a batch of many streams in one transaction.

Every writer goes on with a chain only from where it ends: as it reads that in the same transaction,
or as it has left it itself. So several processes may write to one database, also to one stream: the
server that hears it, and whoever acts on it from elsewhere. A batch is the same few statements for
one stream and for a hundred.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from streamer.database import explained, writing
from streamer.records import register, tables
from streamer.records.chain import Head
from streamer.records.entries import Acted, AnyEntry, Clip, Ended
from streamer.records.errors import BrokenChain, RecordError, UnknownStream
from streamer.records.growth import Growth, StreamRow, grown
from streamer.records.heads import counted
from streamer.records.register import Moved, RegisterEnd, RegisterEntry
from streamer.records.signing import Secret

Batch = Mapping[str, Sequence[AnyEntry]]  # entries by stream
CHANGING = ("ended_at", "held_by", "length", "hash", "signature")
_UPDATE = (
    update(tables.streams)
    .where(
        tables.streams.c.stream == bindparam("of_stream"),
        tables.streams.c.hash == bindparam("before"),
    )
    .values({name: bindparam(name) for name in CHANGING})
)
_ROWS = (  # in one order, so that two processes never wait for each other
    select(tables.streams)
    .where(tables.streams.c.stream.in_(bindparam("some", expanding=True)))
    .order_by(tables.streams.c.stream)
    .with_for_update()
)
_ENTRIES = insert(tables.entries)
LOST, KILLED = 1006, "its server was killed"  # how a stream ended that has no end (RFC 6455, 7.1.5)


class Journal:
    """The tables of records, and the secret that they are signed with. Any thread may use it."""

    def __init__(self, engine: Engine, secret: Secret) -> None:
        self.engine, self.secret = engine, secret
        self._rows: dict[str, StreamRow] = {}  # as they were written here, of streams without end
        self._end: RegisterEnd | None = None  # where the register ended when it was written here

    def write(self, batch: Batch) -> None:
        """Append all of it or nothing; it is on the disk when this returns.

        What was written here is taken to be so still: where it is not, all is read anew. Raises
        :class:`BrokenChain` for a stream that does not go on from what was written here.
        """
        known = {
            name: self._rows[name] for name, entries in batch.items() if self._knows(name, entries)
        }
        try:
            try:
                with self.writing() as connection:
                    rows, end = self._append(connection, batch, known, self._end)
            except Moved:
                with self.writing() as connection:
                    rows, end = self._append(connection, batch)
        except _Overfull:
            self._find_broken(batch)
            raise
        self._end = end
        for row in rows:
            self._rows[row.stream] = row
            if row.ended_at is not None:
                del self._rows[row.stream]

    def _knows(self, stream: str, entries: Sequence[AnyEntry]) -> bool:
        """Whether a stream's row need not be read; the key of what people type may be erased."""
        return stream in self._rows and not any(isinstance(one, Acted) for one in entries)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction, on the disk when this returns. Raises :class:`RecordError`."""
        with explained(self.engine, "record", RecordError), writing(self.engine) as connection:
            yield connection

    def append(self, stream: str, entry: AnyEntry) -> Head:
        """One entry to a stream that there is; the head then. Raises :class:`UnknownStream`."""
        with self.writing() as connection:
            find(connection, stream)
            self._append(connection, {stream: [entry]})
            row = find(connection, stream)
        return self.secret.sign(stream, row.length, row.hash)

    def append_to_each(
        self, streams: Collection[str], entry_at: Callable[[float], AnyEntry]
    ) -> set[str]:
        """An entry to each of these that there is, made from the media time of its last one."""
        with self.writing() as connection:
            there = _rows(connection, streams)
            batch = {name: [entry_at(_last(connection, row).t)] for name, row in there.items()}
            if batch:
                self._append(connection, batch)
        return set(there)

    def end_lost(self, candidate: str, known: Collection[str]) -> list[str]:
        """End a candidate's streams that have no end and are not known to anybody; which."""
        streams = tables.streams.c
        lost = select(streams.stream).where(
            streams.candidate == candidate, streams.ended_at.is_(None), streams.stream.not_in(known)
        )
        with self.writing() as connection:
            there = _rows(connection, connection.scalars(lost).all())
            for row in there.values():
                last = _last(connection, row)
                end = Ended(at=last.at or row.started_at, t=last.t, code=LOST, why=KILLED)
                self._append(connection, {row.stream: [end]})
        return sorted(there)

    def keep_clip(
        self, stream: str, clip: Clip, ogg: bytes, allowed: Callable[[Connection], bool]
    ) -> bool:
        """Seal the sound of an incident, and note it in the chain, both or neither.

        False where it is not ``allowed`` any more, which is asked in the transaction: whoever takes
        their consent back has that written before their clips are erased, so that none comes after.
        It reads by the transaction's own connection and waits for nobody, since all who write wait
        meanwhile. A clip never makes the key that was erased anew. Raises :class:`UnknownStream`.
        """
        with self.writing() as connection:
            row = find(connection, stream)
            if row.text_key is None or not allowed(connection):
                return False
            sealed = self.secret.texts(stream, row.text_key).close_clip(ogg, clip.incident)
            values = {"stream": stream, "incident": clip.incident, "sealed": sealed}
            connection.execute(insert(tables.clips).values(**values))
            self._append(connection, {stream: [clip]})
        return True

    def _append(
        self,
        connection: Connection,
        batch: Batch,
        known: Mapping[str, StreamRow] = MappingProxyType({}),
        end: RegisterEnd | None = None,
    ) -> tuple[list[StreamRow], RegisterEnd | None]:
        """What became of the streams, and of the register.

        Raises :class:`Moved` where what is ``known`` is not so.
        """
        read = _rows(connection, batch.keys() - known.keys())
        self._check_ends(batch.keys() - known.keys(), read)
        there = {**known, **read}
        notes: list[RegisterEntry] = []
        growths: list[Growth] = []
        new: list[Growth] = []
        change = 0
        for stream, entries in sorted(batch.items()):  # so that two processes never wait for each
            if (row := there.get(stream)) is None:  # other
                row = StreamRow.opened(stream, entries[0], self.secret)
                notes.append(_opened(row))
            growth = grown(row, entries, self.secret)
            (growths if stream in there else new).append(growth)
            notes += growth.notes
            change += self._counted(growth.row) - self._counted(row)
        _insert(connection, tables.streams, [one.row.columns() for one in new])
        if growths:
            changed = [_changed(one.row, there[one.row.stream]) for one in growths]
            if connection.execute(_UPDATE, changed).rowcount != len(growths):
                raise Moved("another process has written to a stream")
            _set_keys(connection, growths, there)
        rows = [row for one in (*new, *growths) for row in one.entries]
        try:
            connection.execute(_ENTRIES, rows)
        except IntegrityError as error:  # of a stream there are more entries than its head says
            raise _Overfull("a chain was changed from elsewhere") from error
        _note_people(connection, [*new, *growths])
        end = register.note(connection, self.secret, *notes, change=change, known=end)
        return [one.row for one in (*new, *growths)], end

    def _counted(self, row: StreamRow) -> int:
        return counted(self.secret.heads_key, row)

    def _check_ends(self, streams: Collection[str], there: Mapping[str, StreamRow]) -> None:
        """Others may have added entries. With fewer an older copy was put back, or all removed."""
        for stream in self._rows.keys() & set(streams):
            ours, row = self._rows[stream], there.get(stream)
            if row is None or row.length < ours.length:
                raise BrokenChain(stream)
            if row.length == ours.length and row.hash != ours.hash:
                raise BrokenChain(stream)

    def _find_broken(self, batch: Batch) -> None:
        """Raise :class:`BrokenChain` for the stream that has more entries than its head says."""
        entries = tables.entries.c
        with self.writing() as connection:
            lengths = {name: row.length for name, row in _rows(connection, batch.keys()).items()}
            wanted = select(entries.stream, func.max(entries.number)).group_by(entries.stream)
            there = connection.execute(wanted.where(entries.stream.in_(list(batch)))).all()
        for stream, last in there:
            if last > lengths.get(stream, 0):
                raise BrokenChain(stream)


class _Overfull(RecordError):
    """A batch that cannot be written, since a chain of it is not what it was."""


def find(connection: Connection, stream: str) -> Row[Any]:
    """The row of a stream. Raises :class:`UnknownStream`.

    Locked where this transaction may write: whoever goes on with a chain waits for the other.
    """
    wanted = select(tables.streams).where(tables.streams.c.stream == stream)
    if not connection.get_execution_options().get("postgresql_readonly"):
        wanted = wanted.with_for_update()
    if (row := connection.execute(wanted).one_or_none()) is None:
        raise UnknownStream(f"there is no record of a stream {stream[:64]!r}, or not any more")
    return row


def _rows(connection: Connection, streams: Collection[str]) -> dict[str, StreamRow]:
    """The rows of those that there are, locked."""
    if not streams:
        return {}
    found = connection.execute(_ROWS, {"some": list(streams)})
    return {row.stream: StreamRow(*row) for row in found}


class _When(msgspec.Struct):
    """What is needed of an entry that was written."""

    at: float = 0.0
    t: float = 0.0


_when = msgspec.json.Decoder(_When)


def _last(connection: Connection, row: StreamRow) -> _When:
    """When a stream's last entry was."""
    entries = tables.entries.c
    last = (entries.stream == row.stream) & (entries.number == row.length)
    body = connection.scalar(select(entries.body).where(last))
    try:
        return _When() if body is None else _when.decode(body)
    except msgspec.MsgspecError:  # of one that was changed
        return _When()


def _insert(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _opened(row: StreamRow) -> RegisterEntry:
    return RegisterEntry(
        at=row.started_at,
        act="opened",
        stream=row.stream,
        exam=row.exam or "",
        candidate=row.candidate or "",
    )


def _changed(row: StreamRow, before: StreamRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in CHANGING}
    return {"of_stream": row.stream, "before": before.hash} | values


def _set_keys(
    connection: Connection, growths: Sequence[Growth], before: Mapping[str, StreamRow]
) -> None:
    """Keys of texts that were made anew; none is written that another process has erased."""
    for row in (one.row for one in growths):
        if row.text_key != before[row.stream].text_key:
            theirs = tables.streams.c.stream == row.stream
            connection.execute(update(tables.streams).where(theirs).values(text_key=row.text_key))


def _note_people(connection: Connection, growths: Sequence[Growth]) -> None:
    found = {(one.row.stream, person) for one in growths for person in one.people}
    if not found:
        return
    people = tables.people
    streams = list({stream for stream, _ in found})
    wanted = select(people.c.stream, people.c.person).where(people.c.stream.in_(streams))
    new = found - {(stream, person) for stream, person in connection.execute(wanted)}
    rows = [{"stream": stream, "person": person} for stream, person in sorted(new)]
    _insert(connection, people, rows)
