"""What is still in use while a database is closed is closed when it is not any more."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from streamer.database import open_database, reading


def is_open(database: sqlite3.Connection) -> bool:
    try:
        database.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


@pytest.mark.parametrize("again", [False, True])
def test_a_reader_is_not_waited_for_and_leaves_nothing_open(tmp_path: Path, again: bool) -> None:
    engine = open_database(None, tmp_path, "things.db")
    with reading(engine) as connection:
        database = connection.connection.dbapi_connection
        assert isinstance(database, sqlite3.Connection)
        engine.dispose()
        if again:  # as by somebody else who goes on with the same engine
            with reading(engine) as other:
                assert other.execute(text("SELECT 1")).scalar() == 1
        assert connection.execute(text("SELECT 1")).scalar() == 1
    assert not is_open(database)
    with reading(engine) as connection:
        kept = connection.connection.dbapi_connection
    assert isinstance(kept, sqlite3.Connection)
    assert is_open(kept), "what was not in use then is kept for the next one"
    engine.dispose()
    assert not is_open(kept)
