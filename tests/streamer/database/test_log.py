"""The write-ahead log of SQLite is emptied, and nobody who writes waits for those who read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Engine, LargeBinary, MetaData, Table, event, insert

from streamer.database import open_database, reading, wipe, writing
from streamer.database.sqlite import claim

KEYS = Table("keys", MetaData(), Column("key", LargeBinary))
LONG_S, SHORT_S = 60.0, 0.2


def opened(folder: Path, busy_s: float) -> Engine:
    return open_database(None, folder, "things.db", busy_s=busy_s)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A table with a row, which is in the log."""
    engine = opened(tmp_path, LONG_S)
    with writing(engine) as connection:
        claim(connection)
        KEYS.create(connection)
        connection.execute(insert(KEYS).values(key=b"secret"))
    yield engine
    engine.dispose()


def log_bytes(folder: Path) -> int:
    return (folder / "things.db-wal").stat().st_size


def write(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(insert(KEYS).values(key=b"another"))


def tried(engine: Engine) -> threading.Event:
    """Set once it was tried to empty the log, and in vain."""
    seen = threading.Event()

    def executed(_: Connection, *about: object) -> None:
        if "TRUNCATE" in str(about[1]):
            seen.set()

    event.listen(engine, "before_cursor_execute", executed)
    return seen


def test_others_write_while_a_log_that_is_read_from_waits_to_be_emptied(
    engine: Engine, tmp_path: Path
) -> None:
    hasty, begun = opened(tmp_path, SHORT_S), tried(engine)
    wiping = threading.Thread(target=wipe, args=(engine, KEYS))
    with reading(hasty) as reader:
        reader.exec_driver_sql("SELECT count(*) FROM keys").scalar_one()
        wiping.start()
        assert begun.wait(LONG_S)
        for _ in range(20):  # each would wait for longer than it does
            write(hasty)
    wiping.join()
    assert log_bytes(tmp_path) == 0
    hasty.dispose()


def test_a_reader_who_stays_is_left_and_the_log_with_them(tmp_path: Path, engine: Engine) -> None:
    hasty = opened(tmp_path, SHORT_S)
    write(hasty)
    with reading(engine) as reader:
        reader.exec_driver_sql("SELECT count(*) FROM keys").scalar_one()
        write(hasty)
        wipe(hasty, KEYS)
        assert log_bytes(tmp_path) > 0
    with hasty.connect() as connection:
        wait_ms = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    assert wait_ms == 1000 * SHORT_S, "whoever has the connection next waits as long as ever"
    wipe(hasty, KEYS)
    assert log_bytes(tmp_path) == 0
    hasty.dispose()
