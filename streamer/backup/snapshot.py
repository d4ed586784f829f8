"""Records, exams and rosters on their way into a backup, as they were at one moment.

They lie in the file of :mod:`streamer.store.backup_file` in tables of the same names and revisions
as in the database, with the file of roster keys of that moment. Nothing is decrypted on the way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from sqlalchemy import Column, Connection, LargeBinary, MetaData, Table, func, inspect, select

from streamer.database import History, copy_rows, explained, reading, upgrade
from streamer.edx.tables import HISTORY as EDX
from streamer.exams.book import Exams
from streamer.exams.tables import CANDIDATES, CHANGES
from streamer.exams.tables import HISTORY as EXAMS
from streamer.lti.tables import HISTORY as LTI
from streamer.lti.tables import LOGINS
from streamer.records import tables
from streamer.records.book import Book
from streamer.records.opening import HISTORY as RECORDS
from streamer.store.errors import StoreError

# What LTI seals is sealed with the record's secret, which comes back with the record.
HISTORIES: tuple[History, ...] = (RECORDS, EXAMS, EDX, LTI)
# The count of the changes of this database alone, and logins, which hold for ten minutes.
LEFT_OUT = (CHANGES, LOGINS)
WHAT = "record"
ROSTER_KEYS = Table("roster_keys", MetaData(), Column("content", LargeBinary, nullable=False))


class Snapshot:
    """Implements :class:`streamer.store.backup.Snapshot`, once: what was copied is counted."""

    def __init__(self, exams: Exams, book: Book) -> None:
        self._exams, self._engine = exams, book.journal.engine
        self.streams = self.candidates = 0

    @contextlib.contextmanager
    def __call__(self) -> Iterator[Callable[[Connection], None]]:
        """Look at the database and the roster keys at this moment; the function copies them."""
        with (
            explained(self._engine, WHAT, StoreError),
            reading(self._engine) as source,
        ):
            self.streams = _count(source, tables.streams)  # what is read first sets the moment
            self.candidates = _count(source, CANDIDATES)
            keys = self._exams.keys.read().content()
            yield lambda copy: _copy(source, copy, keys)


def _count(source: Connection, table: Table) -> int:
    return source.scalar(select(func.count()).select_from(table)) or 0


def _copy(source: Connection, copy: Connection, keys: bytes) -> None:
    there = set(inspect(source).get_table_names())
    for history in HISTORIES:
        if history.table not in there:
            continue
        upgrade(copy, history)
        for table in history.tables.sorted_tables:
            if table not in LEFT_OUT:
                copy_rows(table, source, copy)
    ROSTER_KEYS.create(copy)
    copy.execute(ROSTER_KEYS.insert().values(content=keys))
