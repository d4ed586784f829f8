"""Tables are made and changed by Alembic's revisions, of which each part has a folder.

A revision is a module of the program like any other (`r0001_...py`, with ``revision``,
``down_revision`` and ``upgrade``), so that it is in an installed wheel, too. There is no way
back: an older program says that it cannot read a newer database.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import threading
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, MetaData, inspect, text

from streamer.database import postgresql, sqlite
from streamer.database.engine import file_before, reading, writing
from streamer.database.errors import DatabaseError, shown
from streamer.database.moving import Source

# Alembic's `op` is one for the whole process.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class History:
    """The revisions in ``folder``, of which ``head`` is the last; ``table`` holds which one is in
    a database, and ``tables`` what they make.
    """

    folder: Path
    table: str
    head: str
    tables: MetaData


def migrate(engine: Engine, history: History) -> None:
    """Bring the tables to the last revision: whole or not at all, by one process at a time.

    What lies in the file of SQLite that PostgreSQL takes the place of goes over to it. Raises
    :class:`DatabaseError` for tables of a newer program.
    """
    before = file_before(engine)
    if before is not None and before.exists():
        _move(engine, history, before)
    with reading(engine) as connection:
        if _revision(connection, history) == history.head:
            return
    load_alembic()
    with writing(engine) as connection:
        upgrade(connection, history)


def load_alembic() -> None:
    """Import what changes tables, before others wait for them to be changed.

    That takes a fifth of a second, and on a busy machine several.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)  # its steps are no news to anybody
    importlib.import_module("alembic.operations")
    importlib.import_module("alembic.script")


def _move(engine: Engine, history: History, before: Path) -> None:
    with contextlib.closing(Source(before, history.table, history.tables)) as source:
        if not source.there:
            return
        with reading(engine) as connection:
            empty = _revision(connection, history) is None
        if not empty:
            source.remove_moved(engine)
            return
        migrate(source.engine, history)
        load_alembic()
        source.mark()
        # The commit of PostgreSQL comes first.
        with writing(source.engine) as old, writing(engine) as new:
            postgresql.prepare_schema(new)
            if source.there and _revision(new, history) is None:  # another may have been quicker
                upgrade(new, history)
                source.copy(old, new)
                source.remove(old)


def upgrade(connection: Connection, history: History) -> None:
    """The same within a transaction, for whose end others who do it wait; nothing moves."""
    if connection.dialect.name == "postgresql":
        postgresql.prepare_schema(connection)
    there = _revision(connection, history)
    if there != history.head:
        with _ONE_AT_A_TIME:
            _run(connection, history, there)


def _revision(connection: Connection, history: History) -> str | None:
    if not inspect(connection).has_table(history.table):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {history.table}")).scalar()
    return None if found is None else str(found)


def _run(connection: Connection, history: History, there: str | None) -> None:
    load_alembic()
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from alembic.script.revision import RevisionError

    revisions = ScriptDirectory(history.folder, version_locations=[history.folder])
    try:
        steps = list(revisions.iterate_revisions(history.head, there or "base"))
    except RevisionError as error:
        raise DatabaseError(
            f"{shown(connection.engine)} was made by another version of voxwatch (revision"
            f" {there}, this one reads up to {history.head}): use that version"
        ) from error
    if connection.dialect.name == "sqlite":
        sqlite.claim(connection)
    context = MigrationContext.configure(connection, opts={"version_table": history.table})
    with Operations.context(context):
        for step in reversed(steps):
            step.module.upgrade()
            context.stamp(revisions, step.revision)
