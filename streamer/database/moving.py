"""What lies in a file of SQLite goes over to PostgreSQL when `database` first names that.

Rows are copied as they are, in one transaction, while nobody can write to the file; then they are
removed from it, and overwritten. A process that is killed between the two commits leaves rows in
both places: a mark that the file got before says of which ones PostgreSQL has a copy. Rows that
come into the file later, as the setting was taken out for a while, have no mark and are left.
"""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    LargeBinary,
    MetaData,
    Table,
    delete,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError

from streamer.database import sqlite
from streamer.database.engine import BUSY_S, reading, shorten_log, writing

PIECE = 500  # rows that are copied at a time
MOVED = Table("moved", MetaData(), Column("mark", LargeBinary, primary_key=True))


def copy_rows(table: Table, source: Connection, target: Connection) -> None:
    """Add all rows that ``source`` has to the table in ``target``."""
    query = select(table).order_by(*table.primary_key).execution_options(yield_per=PIECE)
    for piece in source.execute(query).mappings().partitions():
        target.execute(insert(table), [dict(row) for row in piece])
    column = table.autoincrement_column
    if column is not None and target.dialect.name == "postgresql":
        target.execute(
            text(  # what it counts from; nothing where it does not count
                f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'),"
                f" (SELECT max({column.name}) FROM {table.name}))"
            )
        )


class Source:
    """The tables of one history in a file of SQLite, which are about to move or have moved."""

    def __init__(self, path: Path, version_table: str, tables: MetaData) -> None:
        self.engine = sqlite.make_engine(path, BUSY_S)
        self._version_table, self._tables = version_table, tables
        mark = Column("mark", LargeBinary, nullable=False)
        self._mark = Table(f"{version_table}_moving", MetaData(), mark)

    def close(self) -> None:
        """Close the file, and make it small. It stays: another program may have it open.

        Whether there is room to give back is asked of the file: who removed the tables may have
        been killed before this.
        """
        emptied = False
        with (
            contextlib.suppress(SQLAlchemyError),  # of that program, which reads
            self.engine.connect().execution_options(**sqlite.OUTSIDE) as database,
        ):
            emptied = bool(database.exec_driver_sql("PRAGMA freelist_count").scalar_one())
            if emptied:
                database.exec_driver_sql("VACUUM")
        if emptied:
            shorten_log(self.engine, wait=True)
        self.engine.dispose()

    @property
    def there(self) -> bool:
        """Whether the file has these tables."""
        with reading(self.engine) as database:
            return inspect(database).has_table(self._version_table)

    def copy(self, old: Connection, new: Connection) -> None:
        """Replace all rows of ``new`` by those of ``old``, within a transaction of each."""
        for table in reversed(self._tables.sorted_tables):
            new.execute(delete(table))
        for table in self._tables.sorted_tables:
            copy_rows(table, old, new)
        MOVED.create(new, checkfirst=True)
        new.execute(insert(MOVED).values(mark=old.execute(select(self._mark)).scalar_one()))

    def mark(self) -> None:
        """Give the tables their mark, if they have none."""
        with writing(self.engine) as database:
            found = set(inspect(database).get_table_names())
            if self._version_table in found and self._mark.name not in found:
                self._mark.create(database)
                database.execute(insert(self._mark).values(mark=secrets.token_bytes(16)))

    def remove(self, old: Connection) -> None:
        """Remove the tables, within a transaction."""
        self._tables.drop_all(old)
        self._mark.drop(old)
        old.execute(text(f"DROP TABLE {self._version_table}"))

    def remove_moved(self, engine: Engine) -> None:
        """Remove the tables where they were copied already, and nobody came to do so."""
        with writing(self.engine) as old:
            if not inspect(old).has_table(self._mark.name):
                return
            mark = old.execute(select(self._mark)).scalar_one()
            with reading(engine) as new:
                known = inspect(new).has_table(MOVED.name)
                moved = known and new.execute(select(MOVED).filter_by(mark=mark)).first()
            if moved:
                self.remove(old)
