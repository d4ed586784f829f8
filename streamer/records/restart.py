"""The register begins anew: what it may forget is one entry, and the rest goes on behind it.

Forgotten are its first entries, as far as each is older than its term and of a stream whose record
was deleted. In their place stands an entry ``restarted`` at the end of the chain, so that it is
signed as all of it is. It says how many entries went, where their chain ended, which is where the
rest goes on, and from when to when they were. Whatever somebody did to the rest is told as before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, delete, select, update

from streamer.records import register, tables
from streamer.records.chain import REGISTER, link, start
from streamer.records.errors import RecordError
from streamer.records.journal import Journal
from streamer.records.register import PIECE, RegisterEntry

CHANGED = "the register was changed: nothing of it is cut; `voxwatch records verify` says where"

_note = msgspec.json.Decoder(RegisterEntry)


class Origin(NamedTuple):
    """After which entry the chain begins that is there, and with which link."""

    number: int
    hash: bytes


def last_restart(connection: Connection) -> RegisterEntry | None:
    """The entry that says what was cut, None where nothing was, or where it is none any more."""
    listed = tables.register.c
    number = select(tables.about.c.restart).scalar_subquery()
    body = connection.scalar(select(listed.body).where(listed.number == number))
    with contextlib.suppress(msgspec.MsgspecError):
        note = None if body is None else _note.decode(body)
        return note if note is not None and note.act == "restarted" else None
    return None


def origin(restart: RegisterEntry | None) -> Origin:
    """Where the chain begins that is there."""
    if restart is None:
        return Origin(0, start(REGISTER))
    try:
        return Origin(restart.count, bytes.fromhex(restart.hash))
    except ValueError:  # of one that was changed
        return Origin(restart.count, b"")


def link_at(connection: Connection, number: int) -> bytes | None:
    """The link of an entry of the register, also of the last that was cut; None: not known."""
    began = origin(last_restart(connection))
    if number and number == began.number:
        return began.hash
    listed = tables.register.c
    return connection.scalar(select(listed.hash).where(listed.number == number))


def shorten(journal: Journal, before: float, who: str, now: float) -> int:
    """Cut the entries of before then that may go, all in one transaction; how many they were.

    Nothing is cut of a register that does not hold: that would hide who changed it. Raises
    :class:`RecordError` then.
    """
    with journal.writing() as connection:
        _, forged = register.read_end(connection, journal.secret)
        if forged is not None:
            raise RecordError(CHANGED)
        earlier = last_restart(connection)
        try:
            cut = _due(connection, origin(earlier), before)
        except msgspec.MsgspecError as error:
            raise RecordError(CHANGED) from error
        if not cut.says_anything:
            return 0
        listed = tables.register.c
        connection.execute(delete(tables.register).where(listed.number <= cut.end.number))
        end = register.note(connection, journal.secret, cut.told(earlier, who, now))
        assert end is not None  # as its head was signed
        connection.execute(update(tables.about).values(restart=end.length))
    return cut.entries


class _Cut:
    """Entries that may go, in order."""

    def __init__(self) -> None:
        self.entries, self.end = 0, Origin(0, b"")
        self.says_anything = False  # but that it was cut before
        self._opened: set[str] = set()
        self._deleted: set[str] = set()
        self._at: list[float] = []  # of the first and the last of them, by the clock

    def add(self, note: RegisterEntry, end: Origin) -> None:
        """The next."""
        self.entries, self.end = self.entries + 1, end
        self.says_anything |= note.act != "restarted"
        self._at = [min([*self._at, note.at]), max([*self._at, note.at])]
        if note.act == "opened":
            self._opened.add(note.stream)
        if note.act == "deleted":
            self._deleted.add(note.stream)

    def told(self, earlier: RegisterEntry | None, who: str, now: float) -> RegisterEntry:
        """What stands in place of them, and of all that was cut ``earlier``."""
        since, until = self._at
        awaited = len(self._opened - self._deleted) - len(self._deleted - self._opened)
        return RegisterEntry(
            at=now,
            act="restarted",
            stream=REGISTER,
            who=who,
            why="register_days",
            count=self.end.number,
            hash=self.end.hash.hex(),
            since=since if earlier is None else min(since, earlier.since),
            until=until if earlier is None else max(until, earlier.until),
            streams=len(self._opened) + (0 if earlier is None else earlier.streams),
            awaited=awaited + (0 if earlier is None else earlier.awaited),
        )


def _due(connection: Connection, began: Origin, before: float) -> _Cut:
    """What may go, from the beginning on: an entry that may not keeps all after it."""
    cut = _Cut()
    if not _may_be_due(connection, before):
        return cut
    gone = _gone(connection) | {REGISTER}
    with contextlib.closing(_held_to_chain(connection, began)) as entries:
        for note, end in entries:
            if note.at >= before or note.stream not in gone:
                break
            cut.add(note, end)
    return cut


def _may_be_due(connection: Connection, before: float) -> bool:
    """Whether it is worth while to read all of it: the first entry may go by its age."""
    oldest = select(tables.register.c.body).order_by(tables.register.c.number).limit(1)
    if (body := connection.scalar(oldest)) is None or (first := _note.decode(body)).at >= before:
        return False
    there = select(tables.streams.c.stream).where(tables.streams.c.stream == first.stream)
    return connection.execute(there).first() is None


def _gone(connection: Connection) -> set[str]:
    """Streams that were deleted once, and are not there.

    One that is not there and of which that is not said was removed by somebody, and what the
    register says of it is how that is told.
    """
    deleted: set[str] = set()
    opened: set[str] = set()
    again: set[str] = set()
    for note in register.read(connection):
        if note.act == "deleted":
            deleted.add(note.stream)
        if note.act == "opened":
            seen = note.stream in opened or note.stream in deleted
            (again if seen else opened).add(note.stream)
    return deleted - again - set(connection.scalars(select(tables.streams.c.stream)))


def _held_to_chain(
    connection: Connection, began: Origin
) -> Generator[tuple[RegisterEntry, Origin], None, None]:
    """Entries with where the chain is after each. Raises :class:`RecordError`."""
    wanted = select(tables.register).order_by(tables.register.c.number)
    with contextlib.closing(connection.execute(wanted.execution_options(yield_per=PIECE))) as rows:
        end = began
        for row in rows:
            end = _next(end, row)
            yield _note.decode(row.body), end


def _next(end: Origin, row: Row[Any]) -> Origin:
    after = link(end.hash, row.number, row.body)
    if row.number != end.number + 1 or after != row.hash:
        raise RecordError(CHANGED)
    return Origin(row.number, after)
