"""Whether anything in the record was changed, removed, added or put elsewhere.

What an entry says is held to its chain, the chain to its signed head, the streams to the register
and its signed head, which covers where all streams end, and the columns by which streams are found
to what the entries say. Whoever can write the database but has not the store's key can put back an
older copy of all of it unseen, as it was at one moment: keep the register's head elsewhere to tell
that, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, func, select

from streamer.records import contents, restart, tables
from streamer.records.chain import REGISTER, Head, link, start
from streamer.records.entries import AnyEntry, entry_from
from streamer.records.heads import StreamEnd, total
from streamer.records.kept_heads import KeptHead, kept_heads
from streamer.records.register import RegisterEntry
from streamer.records.restart import Origin
from streamer.records.signing import Secret, is_signed

PIECE = 1000  # entries that are read at a time
# Acts of the register.
NEEDED = frozenset({"opened", "sealed", "deleted", "pseudonymised", "silenced"})

_note = msgspec.json.Decoder(RegisterEntry)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a stream or the register: at the entry with that number, or as a whole.

    ``candidate`` is whose stream it is by the register. ``removed``: it is not there any more.
    """

    chain: str
    number: int | None
    what: str
    candidate: str = ""
    removed: bool = False

    def __str__(self) -> str:
        of = "the register" if self.chain == REGISTER else f"stream {self.chain}"
        where = of if self.number is None else f"{of}, entry {self.number}"
        return f"{where}: {self.what}"


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at, and what was found. ``head`` is that of the register.

    ``restart`` is its entry that says what was cut of it, None where nothing was. ``kept`` is what
    is to be said of heads that were kept elsewhere.
    """

    streams: int
    entries: int
    findings: tuple[Finding, ...]
    head: Head
    restart: RegisterEntry | None = None
    kept: tuple[KeptHead, ...] = ()


def verify(
    connection: Connection,
    secret: Secret,
    stream: str | None = None,
    exam: str | None = None,
    heads: Sequence[Head] = (),
) -> Verification:
    """Look at the register, and at a stream, at those of an exam, or at all there are.

    ``heads`` were kept elsewhere (:mod:`~streamer.records.kept_heads`): their streams are looked at
    beside what is asked for.
    """
    rows = {row.stream: row for row in connection.execute(select(tables.streams))}
    head = _register_head(connection, secret)
    chosen = None if stream is None else {stream}
    if exam is not None:
        chosen = {name for name, row in rows.items() if row.exam == exam}
    if chosen is not None:
        chosen |= {one.chain for one in heads} & rows.keys()
    register = _Register(exam, chosen)
    restarted = restart.last_restart(connection)
    began = restart.origin(restarted)
    findings = _chain(head, connection.execute(_ordered(tables.register)), register.take, began)
    findings += [*register.findings, *register.unaccounted(restarted)]
    notes = register.notes
    findings += _streams(rows, notes, chosen)
    entries = 0
    looked_at = [name for name in (rows if chosen is None else sorted(chosen)) if name in rows]
    for name in looked_at:
        findings += _stream(connection, secret, rows[name], notes.get(name, []))
        entries += rows[name].length
    if chosen is None:
        findings += _strays(connection)
    if not heads_hold(head, secret, rows.values()):
        what = "the ends of streams are not those that it was told: one was put back, or exchanged"
        findings.append(Finding(chain=REGISTER, number=None, what=what))
    return Verification(
        streams=len(looked_at),
        entries=entries,
        findings=tuple(findings),
        head=head,
        restart=restarted,
        kept=tuple(kept_heads(connection, secret, heads)) if heads else (),
    )


def _register_head(connection: Connection, secret: Secret) -> Head:
    about = connection.execute(select(tables.about)).one()
    return Head(
        chain=REGISTER,
        count=about.length,
        hash=about.hash.hex(),
        signature=about.signature.hex(),
        key=secret.public_key,
        heads=(about.heads or b"").hex(),
    )


def heads_hold(head: Head, secret: Secret, ends: Iterable[StreamEnd]) -> bool:
    """Whether streams end where the register's head says so, all of them."""
    return total(secret.heads_key, ends).hex() == head.heads


def signed_head(connection: Connection, secret: Secret, row: Row[Any]) -> Head:
    """The end of a stream's chain; of one that goes on it is signed now, if it can be believed."""
    signature = row.signature.hex()
    if not signature:
        ends = connection.execute(select(tables.streams)).all()
        register = _register_head(connection, secret)
        if is_signed(register, register.key) and heads_hold(register, secret, ends):
            signature = secret.sign(row.stream, row.length, row.hash).signature
    return Head(
        chain=row.stream,
        count=row.length,
        hash=row.hash.hex(),
        signature=signature,
        key=secret.public_key,
    )


class _Register:
    """What is needed of the register's entries, as they pass: those of the streams looked at."""

    def __init__(self, exam: str | None, chosen: set[str] | None) -> None:
        """Streams of which only the register says that they are of ``exam`` are ``chosen``, too."""
        self._exam, self._chosen = exam, chosen  # None: all
        self.notes: dict[str, list[RegisterEntry]] = {}
        self.findings: list[Finding] = []
        self._restart: RegisterEntry | None = None  # the last
        self._opened: set[str] = set()
        self._deleted: set[str] = set()

    def take(self, number: int, body: bytes) -> None:
        """The next entry."""
        try:
            note = _note.decode(body)
        except ValueError:
            what = "it cannot be read"
            self.findings.append(Finding(chain=REGISTER, number=number, what=what))
            return
        if self._chosen is not None and note.exam == self._exam:
            self._chosen.add(note.stream)
        if note.act in NEEDED and (self._chosen is None or note.stream in self._chosen):
            self.notes.setdefault(note.stream, []).append(note)
        self._account(note)

    def _account(self, note: RegisterEntry) -> None:
        if note.act == "restarted":
            self._restart = note
        if note.act == "opened":
            self._opened.add(note.stream)
        if note.act == "deleted":
            self._deleted.add(note.stream)

    def unaccounted(self, restarted: RegisterEntry | None) -> Iterator[Finding]:
        """Whether what was cut is what the last entry about that says."""
        if restarted != self._restart:
            what = "it does not begin where it was cut: an earlier state of it was put back"
            yield Finding(chain=REGISTER, number=None, what=what)
        awaited = 0 if self._restart is None else self._restart.awaited
        if (there := len(self._deleted - self._opened)) != awaited:
            what = f"of {there} streams it says that they were deleted and not that they began"
            yield Finding(chain=REGISTER, number=None, what=f"{what}: {awaited} were cut so")


def _ordered(table: Any) -> Select[Any]:
    """A piece at a time."""
    wanted = select(table.c.number, table.c.hash, table.c.body).order_by(table.c.number)
    return wanted.execution_options(yield_per=PIECE)


def _chain(
    head: Head,
    rows: Iterable[Row[Any]],
    take: Callable[[int, bytes], None],
    began: Origin | None = None,
) -> list[Finding]:
    """Where a chain does not hold, which ``began`` at its start or where it was cut.

    ``take`` is given each entry with its number.
    """
    findings: list[Finding] = []

    def tell(what: str, number: int | None = None) -> None:
        findings.append(Finding(chain=head.chain, number=number, what=what))

    began = began or Origin(0, start(head.chain))
    last, expected = began.hash, began.number + 1
    for row in rows:
        if row.number != expected:
            tell(f"entries {expected} to {row.number - 1} are missing")
        last = link(last, row.number, row.body)
        if last != row.hash:
            tell("it was changed, or what is before it", row.number)
            last = row.hash  # so that what follows is judged by itself
        expected = row.number + 1
        take(row.number, row.body)
    if (head.count, head.hash) != (expected - 1, last.hex()):
        tell(f"it ends after entry {expected - 1}, and its head says {head.count}")
    if (head.signature or head.chain == REGISTER) and not is_signed(head, head.key):
        tell("its head is not signed with this store's key")
    return findings


def _streams(
    rows: Mapping[str, Row[Any]],
    notes: Mapping[str, Sequence[RegisterEntry]],
    chosen: set[str] | None,
) -> Iterator[Finding]:
    """Whether there are those streams of which the register says so, and no others."""
    for stream in (rows.keys() | notes.keys()) if chosen is None else sorted(chosen):
        told = [note.act for note in notes.get(stream, ())]
        what = ""
        if stream in rows and "opened" not in told:
            what = "the register knows nothing of it"
        if told.count("opened") > 1:
            what = "it was removed, and began anew"
        if stream in rows and "deleted" in told:
            what = "it was deleted, and is there again"
        if stream not in rows and "opened" in told and "deleted" not in told:
            what = "its whole record was removed"
        if what:
            candidate = next((n.candidate for n in notes.get(stream, ()) if n.candidate), "")
            removed = stream not in rows
            yield Finding(
                chain=stream, number=None, what=what, candidate=candidate, removed=removed
            )


def _stream(
    connection: Connection, secret: Secret, row: Row[Any], notes: Sequence[RegisterEntry]
) -> list[Finding]:
    """Where the record of a stream does not hold."""
    head = Head(
        chain=row.stream,
        count=row.length,
        hash=row.hash.hex(),
        signature=row.signature.hex(),
        key=secret.public_key,
    )
    theirs = tables.entries.c.stream == row.stream
    rows = connection.execute(_ordered(tables.entries).where(theirs)).all()
    bodies: list[bytes] = []
    findings = _chain(head, rows, lambda _, body: bodies.append(body))
    hashes = {one.number: one.hash.hex() for one in rows}
    wrong = list(contents.unsealed(notes, hashes))
    entries: list[AnyEntry] = []
    for number, body in enumerate(bodies, 1):
        try:
            entries.append(entry_from(body))
        except ValueError:
            findings.append(Finding(chain=row.stream, number=number, what="it cannot be read"))
    if len(entries) == len(bodies):  # else the columns cannot be held to them
        wrong += contents.columns(row, entries)
        wrong += contents.unsigned(row, entries)
        wrong += contents.people(connection, row, entries, notes)
        wrong += contents.clips(connection, secret, row, entries, notes)
    wrong += contents.texts(secret, row, notes)
    return findings + [Finding(chain=row.stream, number=None, what=what) for what in wrong]


def _strays(connection: Connection) -> Iterator[Finding]:
    """Rows of streams that there are none of."""
    known = select(tables.streams.c.stream)
    for table in (tables.entries, tables.people, tables.clips):
        stray = select(table.c.stream, func.count()).where(table.c.stream.not_in(known))
        for stream, _ in connection.execute(stray.group_by(table.c.stream)):
            yield Finding(chain=stream, number=None, what="there are rows of it, and no stream")
