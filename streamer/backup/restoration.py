"""Records, exams and rosters come back from a backup, after the people whom they speak of.

A record only grows, so that two of its states fit together if one goes on where the other ends. An
empty one, or an earlier state of the same, is replaced by the backup's. Into a later state comes
what it lacks, as its file was damaged, but nothing that its register says was deleted since. Two
records that went on apart are not brought together: that is refused before anything is changed.

Of exams, rosters and attempts whatever is there stays as it is, and what is lacking comes back; a
line that was forgotten here stays so.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Row, Table, create_engine, delete, insert, inspect, select, text

from streamer.backup.lti import LtiRows, forget_unreadable
from streamer.backup.snapshot import HISTORIES, ROSTER_KEYS, WHAT
from streamer.database import copy_rows, explained, migrate, reading, upgrade
from streamer.exams.book import Exams
from streamer.exams.lines import opened, place
from streamer.exams.opening import open_exams
from streamer.exams.tables import CANDIDATES, CHANGES, CONSENTS
from streamer.records import register, restart, tables
from streamer.records.book import Book
from streamer.records.chain import REGISTER
from streamer.records.errors import RecordError
from streamer.records.opening import HISTORY as RECORDS
from streamer.records.opening import open_book, opened_secret
from streamer.records.register import RegisterEntry
from streamer.records.signing import Secret
from streamer.store.errors import StoreError
from streamer.store.person_keys import PersonKey, PersonKeys
from streamer.store.store import Store

How = Literal["whole", "lacking"]  # what is brought back of the record
COUNTED = "number"  # the column of consents that each database counts by itself
WITHDRAWN = "withdrawn_at"


class Restoration:
    """Implements :class:`streamer.store.backup.Rest`, once: what came back is counted.

    ``url`` and ``folder`` are those of the store; ``who`` is told in the register.
    """

    def __init__(self, url: str | None, folder: Path, store: Store, who: str) -> None:
        self._url, self._folder, self._store, self._who = url, folder, store, who
        self.streams = self.candidates = 0

    @contextlib.contextmanager
    def __call__(self, old: Connection, key: bytes) -> Iterator[Callable[[], None]]:
        """Raises :class:`StoreError`, :class:`RecordError` for a record that does not fit."""
        if not inspect(old).has_table(RECORDS.table):
            yield lambda: None
            return
        store_key = self._store.vault.key
        with (
            _of_today(old) as source,
            open_exams(self._url, self._folder, self._store) as exams,
            contextlib.closing(open_book(self._url, self._folder, store_key)) as book,
        ):
            secret = opened_secret(source.execute(select(tables.about)).one(), key)
            with explained(book.journal.engine, WHAT, StoreError):
                for history in HISTORIES:
                    migrate(book.journal.engine, history)
                with reading(book.journal.engine) as connection:
                    _how(source, connection, book, secret)
            content: bytes = source.execute(select(ROSTER_KEYS.c.content)).scalar_one()
            keys = PersonKeys(self._folder, content, key)
            yield lambda: self._bring_back(source, secret, keys, exams, book)

    def _bring_back(
        self, source: Connection, secret: Secret, keys: PersonKeys, exams: Exams, book: Book
    ) -> None:
        with self._store.vault.exclusively():  # until the keys are live
            with exams.writing() as target:
                how = _how(source, target, book, secret)
                if secret.public_key != book.journal.secret.public_key:
                    forget_unreadable(target)
                added = self._rosters(source, target, keys, exams)
                if how == "whole":
                    sealed = secret.sealed(self._store.vault.key)
                    self.streams = _whole(source, target, secret, sealed, self._who)
                else:
                    self.streams = _lacking(source, target, secret, self._who)
                keys_here = exams.keys.read()
            for reference in added:
                keys_here.confirm(reference)

    def _rosters(
        self, source: Connection, target: Connection, theirs: PersonKeys, exams: Exams
    ) -> list[bytes]:
        """Whatever is lacking but records; the lines that got a key, which is not live yet."""
        added: list[bytes] = []
        ours = exams.keys.read()
        lti = LtiRows(target, lambda line: line in added or ours.key_of(line) is not None)
        for table in _beside_records(source):
            rows = lti.kept(table, list(_rows_lacking(table, source, target)))
            if table is CANDIDATES:
                added = _add_keys(rows, target, theirs, exams)
                self.candidates = len(rows)
            if rows:
                target.execute(insert(table), rows)
        return added


def _beside_records(source: Connection) -> Iterator[Table]:
    there = set(inspect(source).get_table_names()) - {CHANGES.name}
    for history in HISTORIES:
        if history is not RECORDS:
            yield from (one for one in history.tables.sorted_tables if one.name in there)


def _add_keys(
    rows: Sequence[dict[str, Any]], target: Connection, theirs: PersonKeys, exams: Exams
) -> list[bytes]:
    """Give lines their keys, but for those that somebody else has the place of by now."""
    there = set(target.scalars(select(CANDIDATES.c.reference)))
    ours = exams.keys.change()
    lines = [line for row in rows if (line := _line(row, theirs))]
    lines = [line for line in lines if ours.find(line.name) not in there]
    exams.keys.add(ours, lines)
    return [line.person for line in lines]


def _line(row: dict[str, Any], keys: PersonKeys) -> PersonKey | None:
    """The key of a line of a roster, None where that was destroyed."""
    reference = bytes(row["reference"])
    key = keys.key_of(reference)
    if key is None:
        return None
    return PersonKey(reference, place(row["exam"], opened(row, keys).candidate), key)


def _rows_lacking(table: Table, source: Connection, target: Connection) -> Iterator[dict[str, Any]]:
    key = [column.name for column in table.primary_key]
    if table is CONSENTS:
        key = [column.name for column in table.columns if column.name not in (COUNTED, WITHDRAWN)]
    there = {tuple(row) for row in target.execute(select(*(table.c[name] for name in key)))}
    for row in source.execute(select(table)).mappings().all():
        if tuple(row[name] for name in key) not in there:
            yield {name: row[name] for name in row if table is not CONSENTS or name != COUNTED}


def _how(source: Connection, target: Connection, book: Book, secret: Secret) -> How:
    """Raises :class:`RecordError`."""
    theirs = source.execute(select(tables.about)).one()
    ours = target.execute(select(tables.about)).one()
    if ours.length == 0:
        return "whole"
    if book.journal.secret.public_key == secret.public_key:
        if restart.link_at(source, ours.length) == ours.hash:
            return "whole"
        if restart.link_at(target, theirs.length) == theirs.hash or theirs.length == 0:
            return "lacking"
    raise RecordError(
        "the record here is another one than that of the backup, both went on since, or the backup"
        " is older than what the register still tells: move records.db and what begins like it"
        " away, name an empty database, or restore with --voiceprints-only"
    )


def _whole(source: Connection, target: Connection, secret: Secret, sealed: bytes, who: str) -> int:
    """The record of the backup in place of what is here; how many streams it has."""
    ordered = tables.metadata.sorted_tables
    for table in reversed(ordered):
        target.execute(delete(table))
    for table in ordered:
        copy_rows(table, source, target)
    target.execute(tables.about.update().values(secret=sealed, next_secret=None))
    register.begin(target, secret)
    _note(target, secret, who, REGISTER)
    return len(source.scalars(select(tables.streams.c.stream)).all())


def _lacking(source: Connection, target: Connection, secret: Secret, who: str) -> int:
    """Streams that are not here, though nobody has deleted them; how many they are.

    In the sum over all streams' ends they count still.
    """
    named = select(tables.streams.c.stream)
    lacking = set(source.scalars(named)) - set(target.scalars(named))
    gone = {one.stream for one in register.read(target) if one.act == "deleted"}
    for stream in sorted(lacking - gone):
        for table in tables.metadata.sorted_tables:
            if "stream" not in table.c:
                continue
            found = source.execute(select(table).where(table.c.stream == stream)).mappings().all()
            if found:
                target.execute(insert(table), [dict(row) for row in found])
    _note(target, secret, who, *sorted(lacking - gone))
    return len(lacking - gone)


def _note(target: Connection, secret: Secret, who: str, *streams: str) -> None:
    now = round(time.time(), 3)
    notes = [RegisterEntry(at=now, act="restored", stream=one, who=who) for one in streams]
    register.note(target, secret, *notes)


@contextlib.contextmanager
def _of_today(old: Connection) -> Iterator[Connection]:
    """The backup with tables of today's form: itself, or a copy that was brought over."""
    there = inspect(old).get_table_names()
    behind = [h for h in HISTORIES if h.table in there and _revision(old, h.table) != h.head]
    if not behind:
        yield old
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copyfile(_file(old), Path(folder) / "backup")
        with create_engine(f"sqlite:///{copy}").begin() as connection:
            for history in behind:
                upgrade(connection, history)
            yield connection


def _revision(old: Connection, table: str) -> Any:
    return old.scalar(text(f"SELECT version_num FROM {table}"))


def _file(old: Connection) -> str:
    found: Row[Any] = old.execute(text("PRAGMA database_list")).one()
    return str(found.file)
