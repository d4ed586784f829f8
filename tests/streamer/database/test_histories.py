"""Each part's revisions make the tables that its code goes by, in SQLite and in PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.schema import SchemaItem

from streamer.database import History, migrate, open_database, reading
from streamer.edx.tables import HISTORY as EDX
from streamer.exams.tables import HISTORY as EXAMS
from streamer.lti.tables import HISTORY as LTI
from streamer.records.opening import HISTORY as RECORDS
from streamer.store.tables import HISTORY as STORE

ROOT = Path(__file__).parents[3]
ALL = (STORE, RECORDS, EXAMS, EDX, LTI)
HISTORIES = pytest.mark.parametrize("history", ALL, ids=lambda history: history.table)


@HISTORIES
def test_the_head_is_the_last_revision(history: History) -> None:
    revisions = ScriptDirectory(history.folder, version_locations=[history.folder])
    assert revisions.get_heads() == [history.head]


def test_no_two_parts_share_a_table() -> None:
    names = [name for history in ALL for name in history.tables.tables]
    names += [history.table for history in ALL]
    assert len(names) == len(set(names))


@HISTORIES
def test_the_revisions_make_the_tables_of_the_code(
    history: History, database_url: str | None, tmp_path: Path
) -> None:
    engine = open_database(database_url, tmp_path / "data", "tables.db")
    migrate(engine, history)

    def ours(item: SchemaItem, name: str | None, kind: str, *_: object) -> bool:
        return kind != "table" or name != history.table

    with reading(engine) as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": ours, "compare_type": True}
        )
        assert compare_metadata(context, history.tables) == []
    engine.dispose()


OPENING = """
import sys
from pathlib import Path
from sqlalchemy import Engine, event
from streamer.database import open_database
from streamer.exams.opening import open_exams
from streamer.store.store import Store

changes = []

@event.listens_for(Engine, "after_cursor_execute")
def executed(connection, cursor, statement, *_):
    if statement == "BEGIN IMMEDIATE":
        changes.append("alembic.script" in sys.modules and "alembic.operations" in sys.modules)

folder = Path(sys.argv[1])
with Store.open(folder, bytes(32)) as store, open_exams(None, folder, store):
    pass
assert changes and all(changes), changes
"""


def test_nothing_is_imported_while_others_wait_for_the_tables_to_be_made(tmp_path: Path) -> None:
    """On a busy machine that takes seconds, and those who open it at the same time give up."""
    command = [sys.executable, "-c", OPENING, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
