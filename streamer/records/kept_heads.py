"""Whether heads that were kept elsewhere, as by a report, are ends that this record once had.

An entry that is there answers by its link. One that went with its stream, or with what was cut of
the register, is told by the last that the register says of the stream, else by the signature alone:
nobody without the record's secret can make one. What is there has to be verified beside this.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, select

from streamer.records import restart, tables
from streamer.records.chain import REGISTER, Head, start
from streamer.records.register import RegisterEntry
from streamer.records.signing import Secret, is_signed

KEY_DIGITS = 16  # of a key, by which people tell it from another

ALTERED = "its signature is not of this record: the report was altered, or is of another record"
SIGNED = "its signature says that this record had it"
PUT_BACK = (
    "this record signed it, and has it no more: it was changed, or put back to an earlier state"
)
ASK_SIGNATURE = "its signature would tell, which a report has as JSON and as ZIP"


class KeptHead(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a head. ``own``: whether this record had it, None where nobody can tell."""

    chain: str
    count: int
    hash: str
    own: bool | None
    what: str

    def __str__(self) -> str:
        of = "the register" if self.chain == REGISTER else f"stream {self.chain}"
        return f"head of {of}, {self.count} entries: {self.what}"


class _Known(NamedTuple):
    """What is left of a chain: its links by number, in hexadecimal, and how many entries it had.

    ``length`` is None where that is forgotten. ``now`` says what became of it.
    """

    links: Mapping[int, str]
    length: int | None
    now: str


def kept_heads(connection: Connection, secret: Secret, heads: Sequence[Head]) -> list[KeptHead]:
    """What is to be said of each. A hash may be its first digits, and signatures may lack."""
    record = _Record(connection, heads)
    return [_judged(head, secret, record.known(head)) for head in heads]


def _judged(head: Head, secret: Secret, known: _Known) -> KeptHead:
    own, what = _foreign(head, secret) or _answer(head, known, _signed(head, secret))
    return KeptHead(chain=head.chain, count=head.count, hash=head.hash, own=own, what=what)


def _foreign(head: Head, secret: Secret) -> tuple[bool, str] | None:
    if head.key in ("", secret.public_key):
        return None
    theirs, ours = head.key[:KEY_DIGITS], secret.public_key[:KEY_DIGITS]
    return False, f"it is of another record, whose key is {theirs}…; that of this one is {ours}…"


def _signed(head: Head, secret: Secret) -> bool | None:
    """Whether the record signed it; None where there is no signature, or half of what it is of."""
    if not head.signature:
        return None
    if is_signed(head, secret.public_key):
        return True
    # Earlier reports lack the sum that the register's signature is over, too.
    return None if head.chain == REGISTER and not head.heads else False


def _answer(head: Head, known: _Known, signed: bool | None) -> tuple[bool | None, str]:
    link = known.links.get(head.count)
    if signed is False:
        return False, ALTERED
    if link is not None:
        if link.startswith(head.hash):
            return True, f"this record had it; {known.now}"
        return False, PUT_BACK if signed else "it is not this record's, whose head there is another"
    if known.length is not None and head.count > known.length:
        return False, PUT_BACK if signed else f"this record never had it; {known.now}"
    if signed:
        return True, f"{SIGNED}; {known.now}"
    return None, f"{known.now}, so that a hash alone cannot be told any more: {ASK_SIGNATURE}"


class _Record:
    """What the record still knows of the chains of some heads."""

    def __init__(self, connection: Connection, heads: Iterable[Head]) -> None:
        self._connection = connection
        self._chains = {head.chain for head in heads}
        self._restart = restart.last_restart(connection)
        self._rows = {r.stream: r for r in connection.execute(select(tables.streams))}
        self._notes: dict[str, list[RegisterEntry]] = {}
        for note in _notes(connection):
            if note.stream in self._chains:
                self._notes.setdefault(note.stream, []).append(note)

    def known(self, head: Head) -> _Known:
        """What there is of the head's chain."""
        if head.chain == REGISTER:
            return self._of_register(head.count)
        row, notes = self._rows.get(head.chain), self._notes.get(head.chain, [])
        if row is not None:
            return self._of_stream(row, head.count)
        ends = {one.count: one.hash for one in notes if one.hash}
        for note in notes:
            if note.act == "deleted":
                return _Known(ends, note.count, f"the stream was deleted {_by(note)}")
        if self._restart is not None:
            now = "the stream was deleted, and the register has begun anew since then"
            return _Known(ends, None, now)
        return _Known(ends, 0, "there is no such stream, and no word that one was deleted")

    def _of_stream(self, row: Row[Any], count: int) -> _Known:
        entries = tables.entries.c
        wanted = select(entries.hash).where(entries.stream == row.stream, entries.number == count)
        found = self._connection.scalar(wanted) if count <= row.length else None
        links = {} if found is None else {count: found.hex()}
        return _Known(links, row.length, f"the stream has {row.length} entries now")

    def _of_register(self, count: int) -> _Known:
        about = self._connection.execute(select(tables.about)).one()
        found = None
        if count <= about.length:
            found = restart.link_at(self._connection, count) if count else start(REGISTER)
        now = f"the register has {about.length} entries now"
        began = 0 if self._restart is None else self._restart.count
        if 0 < count < began:
            now = f"the register began anew after entry {began}"
        return _Known({} if found is None else {count: found.hex()}, about.length, now)


def _notes(connection: Connection) -> Iterator[RegisterEntry]:
    """The register, without entries that somebody made unreadable."""
    decoder = msgspec.json.Decoder(RegisterEntry)
    listed = tables.register.c
    for body in connection.scalars(select(listed.body).order_by(listed.number)):
        with contextlib.suppress(msgspec.MsgspecError):
            yield decoder.decode(body)


def _by(note: RegisterEntry) -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime(note.at))
    why = f" ({note.why})" if note.why else ""
    return f"on {day} by {note.who or 'the server'}{why}"
