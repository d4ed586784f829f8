"""What lies in SQLite goes over to PostgreSQL, once and whole, and nothing of it stays behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from killing import Killed, die, run_and_kill
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    event,
    text,
)

from streamer.database import History, migrate, open_database, reading, writing
from streamer.database.moving import Source

ROOT = Path(__file__).parents[3]
REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def upgrade():
    op.create_table("{0}s", sa.Column("number", sa.Integer, primary_key=True),
                    sa.Column("name", sa.Text))
    owner = sa.Column("{0}", sa.Integer, sa.ForeignKey("{0}s.number"), primary_key=True)
    op.create_table("{0}_parts", owner,
                    sa.Column("part", sa.Integer, primary_key=True))
    op.execute("INSERT INTO {0}s VALUES (1, 'that every one has')")
"""
NAMES = ["that every one has", "second", "third"]


def history(folder: Path, name: str) -> History:
    revisions = folder / f"{name} revisions"
    revisions.mkdir(exist_ok=True)
    (revisions / f"r0001_{name}.py").write_text(REVISION.format(name))
    tables = MetaData()
    number = Column("number", Integer, primary_key=True)
    things = Table(f"{name}s", tables, number, Column("name", Text))
    owner = Column(name, Integer, ForeignKey(things.c.number), primary_key=True)
    Table(f"{name}_parts", tables, owner, Column("part", Integer, primary_key=True))
    return History(revisions, f"{name}_revision", "0001", tables)


@pytest.fixture
def things(tmp_path: Path) -> History:
    return history(tmp_path, "thing")


@pytest.fixture
def file(tmp_path: Path, things: History) -> Path:
    """A file of SQLite with things in it."""
    fill(tmp_path / "data", things, "thing")
    return tmp_path / "data" / "things.db"


def fill(folder: Path, part: History, name: str) -> None:
    engine = open_database(None, folder, "things.db")
    migrate(engine, part)
    with writing(engine) as connection:
        for said in NAMES[1:]:
            connection.execute(text(f"INSERT INTO {name}s (name) VALUES (:name)"), {"name": said})
        connection.execute(text(f"INSERT INTO {name}_parts VALUES (2, 1), (2, 2), (3, 1)"))
    engine.dispose()


@pytest.fixture
def engine(postgresql_url: str, file: Path) -> Iterator[Engine]:
    engine = open_database(postgresql_url, file.parent, file.name)
    yield engine
    engine.dispose()


def names(engine: Engine, name: str = "thing") -> list[str]:
    with reading(engine) as connection:
        return list(connection.execute(text(f"SELECT name FROM {name}s ORDER BY number")).scalars())


def check(engine: Engine, file: Path, things: History) -> None:
    """All of it is there once, is counted on from its end, and the file is empty."""
    for _ in range(2):
        migrate(engine, things)
        assert names(engine) == NAMES
    with writing(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM thing_parts")).scalar() == 3
        connection.execute(text("INSERT INTO things (name) VALUES ('fourth')"))
    assert names(engine) == [*NAMES, "fourth"]
    assert [left for left in file.parent.iterdir() if b"second" in left.read_bytes()] == []
    assert file.stat().st_size <= 2 * 4096


def test_everything_goes_over(engine: Engine, file: Path, things: History) -> None:
    check(engine, file, things)


def test_parts_of_one_file_go_over_each_by_itself(
    engine: Engine, file: Path, things: History, tmp_path: Path
) -> None:
    others = history(tmp_path, "other")
    fill(file.parent, others, "other")
    migrate(engine, things)
    assert b"second" in file.read_bytes()
    assert names(engine) == NAMES
    migrate(engine, others)
    assert names(engine, "other") == NAMES
    check(engine, file, things)


def test_what_was_moved_is_overwritten(engine: Engine, file: Path, things: History) -> None:
    kept = file.with_name("kept")
    kept.hardlink_to(file)  # what a search of the drive would find
    assert b"second" in kept.read_bytes()
    migrate(engine, things)
    assert b"second" not in kept.read_bytes()


@pytest.mark.parametrize(
    "where",
    [
        "streamer.database.moving.Source.mark",
        "streamer.database.migrations.upgrade",
        "streamer.database.moving.copy_rows",
        "streamer.database.moving.Source.remove",
    ],
)
def test_an_interruption_leaves_the_one_or_the_other(
    engine: Engine, file: Path, things: History, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(where, die)
        with pytest.raises(Killed):
            migrate(engine, things)
    check(engine, file, things)


def test_a_kill_between_the_two_commits_leaves_nothing_twice(
    engine: Engine, file: Path, things: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[Connection] = []
    remove = Source.remove

    def spy(source: Source, old: Connection) -> None:
        remove(source, old)
        removed.append(old)

    def commit(connection: Connection) -> None:
        if connection in removed:
            raise Killed

    event.listen(Engine, "commit", commit)
    try:
        monkeypatch.setattr(Source, "remove", spy)
        with pytest.raises(Killed):
            migrate(engine, things)
    finally:
        monkeypatch.undo()
        event.remove(Engine, "commit", commit)
    assert names(engine) == NAMES
    assert b"second" in file.read_bytes()
    check(engine, file, things)


def test_what_came_into_the_file_since_is_left_there(
    engine: Engine, file: Path, things: History
) -> None:
    """The setting was taken out for a while: neither of the two is given up."""
    migrate(engine, things)
    fill(file.parent, things, "thing")
    migrate(engine, things)
    assert names(engine) == NAMES
    left = open_database(None, file.parent, file.name)
    assert names(left) == NAMES
    left.dispose()


MOVING = """
import sys
from pathlib import Path
sys.path[:0] = ["tests/support", "tests/streamer/database"]
from test_moving import history, migrate, open_database

print("ready", flush=True)
url, folder = sys.argv[1], Path(sys.argv[2])
migrate(open_database(url, folder / "data", "things.db"), history(folder, "thing"))
"""


@pytest.mark.parametrize("delay_ms", [0, 80, 160, 240, 320])
def test_a_kill_loses_nothing(
    engine: Engine, file: Path, things: History, postgresql_url: str, tmp_path: Path, delay_ms: int
) -> None:
    printed = run_and_kill(MOVING, postgresql_url, tmp_path, delay_s=delay_ms / 1000)
    assert printed == ["ready"]
    check(engine, file, things)


def test_a_file_that_was_emptied_before_a_kill_is_made_small_afterwards(
    engine: Engine, file: Path, things: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Source, "close", lambda source: source.engine.dispose())
    migrate(engine, things)
    monkeypatch.undo()
    assert file.stat().st_size > 2 * 4096
    check(engine, file, things)


def test_processes_that_move_it_at_once_agree(
    engine: Engine, file: Path, things: History, postgresql_url: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", MOVING, postgresql_url, tmp_path]
    moving = [subprocess.Popen(command, cwd=ROOT, stdout=-3) for _ in range(3)]
    assert [process.wait() for process in moving] == [0, 0, 0]
    check(engine, file, things)
