"""Databases by their URL: the same in SQLite and PostgreSQL, and what goes wrong is explained."""

# Long: what holds of SQLite and of PostgreSQL is asked of both alike, by the same fixtures.

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgresql import PASSWORD, QUOTED_PASSWORD, USER, Cluster
from sqlalchemy import Column, Engine, Integer, MetaData, Table, Text, text
from sqlalchemy.exc import IntegrityError

from streamer.database import (
    DatabaseError,
    History,
    explained,
    migrate,
    open_database,
    reading,
    shown,
    writing,
)
from streamer.database.sqlite import LOG_BYTES

ROOT = Path(__file__).parents[3]
THINGS = MetaData()
Table("things", THINGS, Column("name", Text, primary_key=True), Column("size", Integer))
FIRST = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def upgrade():
    op.create_table("things", sa.Column("name", sa.Text, primary_key=True))
"""
SECOND = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade():
    op.add_column("things", sa.Column("size", sa.BigInteger, nullable=False, server_default="7"))
    op.execute("INSERT INTO things (name) VALUES ('from the second')")
"""


@pytest.fixture
def engine(database_url: str | None, tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(database_url, tmp_path / "data", "things.db", busy_s=0.2)
    yield engine
    engine.dispose()


@pytest.fixture
def first(tmp_path: Path) -> History:
    folder = tmp_path / "revisions"
    folder.mkdir()
    (folder / "r0001_things.py").write_text(FIRST)
    return History(folder, "things_revision", "0001", THINGS)


def second(first: History, content: str = SECOND) -> History:
    (first.folder / "r0002_sizes.py").write_text(content)
    return History(first.folder, first.table, "0002", first.tables)


def names(engine: Engine) -> list[str]:
    with reading(engine) as connection:
        return list(connection.execute(text("SELECT name FROM things ORDER BY name")).scalars())


def add(engine: Engine, name: str) -> None:
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO things (name) VALUES (:name)"), {"name": name})


def test_what_was_written_is_there_when_it_is_opened_again(
    engine: Engine, first: History, database_url: str | None, tmp_path: Path
) -> None:
    migrate(engine, first)
    add(engine, "a")
    engine.dispose()
    again = open_database(database_url, tmp_path / "data", "things.db")
    migrate(again, first)
    assert names(again) == ["a"]
    again.dispose()


def test_all_or_nothing(engine: Engine, first: History) -> None:
    migrate(engine, first)

    def add_and_fail() -> None:
        with writing(engine) as connection:
            connection.execute(text("INSERT INTO things VALUES ('a')"))
            raise ZeroDivisionError

    def add_twice() -> None:
        with writing(engine) as connection:
            for _ in range(2):
                connection.execute(text("INSERT INTO things VALUES ('a')"))

    with pytest.raises(ZeroDivisionError):
        add_and_fail()
    with pytest.raises(IntegrityError):
        add_twice()
    assert names(engine) == []


def test_a_reader_sees_one_moment(engine: Engine, first: History) -> None:
    migrate(engine, first)
    add(engine, "a")
    count = text("SELECT count(*) FROM things")
    with reading(engine) as connection:
        assert connection.execute(count).scalar() == 1
        add(engine, "b")
        assert connection.execute(count).scalar() == 1
    assert names(engine) == ["a", "b"]


# Migrations


def test_tables_are_brought_over_with_what_is_in_them(engine: Engine, first: History) -> None:
    migrate(engine, first)
    add(engine, "a")
    migrate(engine, second(first))
    migrate(engine, second(first))
    assert names(engine) == ["a", "from the second"]
    with reading(engine) as connection:
        assert connection.execute(text("SELECT sum(size) FROM things")).scalar() == 14


def test_a_migration_that_fails_changes_nothing(engine: Engine, first: History) -> None:
    migrate(engine, first)
    add(engine, "a")
    failing = second(first, SECOND + "    raise ZeroDivisionError\n")
    with pytest.raises(ZeroDivisionError):
        migrate(engine, failing)
    assert names(engine) == ["a"]
    migrate(engine, second(first))
    assert names(engine) == ["a", "from the second"]


def test_tables_of_a_newer_program_are_told(engine: Engine, first: History, tmp_path: Path) -> None:
    migrate(engine, second(first))
    (first.folder / "r0002_sizes.py").unlink()
    with pytest.raises(DatabaseError, match=r"another version of voxwatch \(revision 0002, this"):
        migrate(engine, first)


def test_two_histories_share_a_database(engine: Engine, first: History, tmp_path: Path) -> None:
    folder = tmp_path / "others"
    folder.mkdir()
    (folder / "r0001_others.py").write_text(FIRST.replace("things", "others"))
    migrate(engine, first)
    migrate(engine, History(folder, "others_revision", "0001", MetaData()))
    migrate(engine, second(first))
    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM others")).scalar() == 0


OPENING = """
import sys
from pathlib import Path
from sqlalchemy import MetaData
from streamer.database import History, migrate, open_database

url, folder, revisions = sys.argv[1] or None, Path(sys.argv[2]), Path(sys.argv[3])
engine = open_database(url, folder, "things.db", busy_s=30)
sys.stdin.readline()
migrate(engine, History(revisions, "things_revision", "0002", MetaData()))
"""


def test_processes_that_open_it_at_once_agree(
    engine: Engine, first: History, database_url: str | None, tmp_path: Path
) -> None:
    second(first)
    command = [sys.executable, "-c", OPENING, database_url or "", tmp_path / "data", first.folder]
    opening = [subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) for _ in range(4)]
    for process in opening:
        assert process.stdin is not None
        process.stdin.close()
    assert [process.wait() for process in opening] == [0] * 4
    assert names(engine) == ["from the second"]


WRITING = """
import sys
from pathlib import Path
from sqlalchemy import text
from streamer.database import open_database, reading, writing

engine = open_database(sys.argv[1] or None, Path(sys.argv[2]), "things.db", busy_s=30)
with writing(engine) as connection:
    connection.execute(text("INSERT INTO things (name) VALUES (:name)"), {"name": sys.argv[3]})
with reading(engine) as connection:
    print(*connection.execute(text("SELECT name FROM things ORDER BY name")).scalars())
engine.dispose()
"""


def test_nothing_is_lost_where_another_process_opens_writes_and_ends(
    engine: Engine, first: History, database_url: str | None, tmp_path: Path
) -> None:
    """As a command does beside a server, which has the same file open for records and for exams."""

    def elsewhere(name: str) -> str:
        command = [sys.executable, "-c", WRITING, database_url or "", tmp_path / "data", name]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    migrate(engine, first)
    again = open_database(database_url, tmp_path / "data", "things.db")
    try:
        add(again, "a")
        assert elsewhere("b") == "a b\n"
        add(engine, "c")
        assert elsewhere("d") == "a b c d\n"
        add(again, "e")
        assert elsewhere("f") == "a b c d e f\n"
    finally:
        again.dispose()


# What goes wrong


def test_a_lock_is_waited_for_and_told(engine: Engine, first: History) -> None:
    migrate(engine, first)

    def change() -> None:
        with explained(engine, "list"), writing(engine) as connection:
            if engine.dialect.name == "postgresql":  # whose rows alone are locked otherwise
                connection.execute(text("LOCK TABLE things"))

    with writing(engine) as other:
        other.execute(text("INSERT INTO things VALUES ('a')"))
        with pytest.raises(DatabaseError, match=r"another program keeps the list .* locked"):
            change()
    assert names(engine) == ["a"]


def test_an_error_is_one_line_without_a_password(engine: Engine) -> None:
    with pytest.raises(DatabaseError) as failure, explained(engine):
        names(engine)
    assert "things" in str(failure.value)
    assert "\n" not in str(failure.value)
    assert _shows_no_password(f"{failure.value} {engine!r} {engine.url!r} {shown(engine)}")


def _shows_no_password(said: str) -> bool:
    return PASSWORD not in said and QUOTED_PASSWORD not in said


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ((QUOTED_PASSWORD, "wrong"), "check that the server runs, and what the setting"),
        (("/test_", "/none_"), "check that the server runs, and what the setting"),
        (("postgresql://", "mysql://"), "is no URL like postgresql://USER@HOST/DATABASE"),
        (("127.0.0.1:", "127.0.0.1:x"), "is no URL like postgresql://USER@HOST/DATABASE"),
    ],
)
def test_a_url_that_leads_nowhere_is_told(
    postgresql_url: str, tmp_path: Path, change: tuple[str, str], told: str
) -> None:
    def look() -> None:
        engine = open_database(postgresql_url.replace(*change), tmp_path, "things.db")
        with explained(engine), reading(engine):
            pass

    with pytest.raises(DatabaseError, match=told) as failure:
        look()
    assert _shows_no_password(str(failure.value))
    assert failure.value.__cause__ is None or _shows_no_password(str(failure.value.__cause__))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_urls_are_written_in_three_ways(postgresql_url: str, tmp_path: Path, scheme: str) -> None:
    engine = open_database(postgresql_url.replace("postgresql", scheme), tmp_path, "things.db")
    with reading(engine) as connection:
        assert connection.execute(text("SHOW search_path")).scalar() == "voxwatch"
        assert connection.execute(text("SELECT current_user")).scalar() == USER
    engine.dispose()
    assert not list(tmp_path.iterdir())


def test_a_password_may_lie_elsewhere_than_in_the_url(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgresql_url.replace(f":{QUOTED_PASSWORD}", "")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    engine = open_database(f"{url}?connect_timeout=3", tmp_path, "things.db")
    with reading(engine) as connection:
        assert connection.execute(text("SELECT current_user")).scalar() == USER
    engine.dispose()


def test_a_server_that_comes_back_is_asked_again(
    cluster: Cluster, postgresql_url: str, first: History, tmp_path: Path
) -> None:
    engine = open_database(postgresql_url, tmp_path, "things.db")
    migrate(engine, first)
    cluster.stop()
    try:
        with (
            pytest.raises(DatabaseError, match=r"cannot reach the list postgresql://voxwatch@127"),
            explained(engine, "list"),
        ):
            add(engine, "a")
    finally:
        cluster.start()
    add(engine, "b")
    assert names(engine) == ["b"]
    engine.dispose()


def test_commits_are_waited_for_where_the_server_would_not(
    cluster: Cluster, postgresql_url: str, tmp_path: Path
) -> None:
    cluster.run(f"ALTER DATABASE {postgresql_url.rpartition('/')[2]} SET synchronous_commit = off")
    engine = open_database(postgresql_url, tmp_path, "things.db")
    with reading(engine) as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
    engine.dispose()


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("53100", "the disk of the server is full; make room"),
        ("42501", "may not do that"),
        ("25006", "can only be read: name the primary"),
        ("XX001", "is damaged: restore it"),
        ("40001", "another program keeps the list"),
        ("57P01", "cannot reach the list"),
        ("22012", "failed: said so"),
    ],
)
def test_what_a_server_says_is_explained(
    postgresql_url: str, tmp_path: Path, state: str, told: str
) -> None:
    engine = open_database(postgresql_url, tmp_path, "things.db")
    say = text(f"DO $$ BEGIN RAISE EXCEPTION 'said so' USING ERRCODE = '{state}'; END $$")

    def ask() -> None:
        with explained(engine, "list"), writing(engine) as connection:
            connection.execute(say)

    with pytest.raises(DatabaseError, match=told) as failure:
        ask()
    assert "postgresql://voxwatch@127.0.0.1" in str(failure.value)
    engine.dispose()


def test_a_user_who_may_make_no_schema_is_given_one(
    cluster: Cluster, postgresql_url: str, first: History, tmp_path: Path
) -> None:
    name = postgresql_url.rpartition("/")[2]
    cluster.run("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    engine = open_database(
        postgresql_url.replace(f"{USER}:{QUOTED_PASSWORD}", "guest:guest"), tmp_path, "things.db"
    )
    try:
        with (
            pytest.raises(DatabaseError, match=r"may not do that .*own the schema voxwatch"),
            explained(engine),
        ):
            migrate(engine, first)
        cluster.run("CREATE SCHEMA voxwatch AUTHORIZATION guest", database=name)
        migrate(engine, first)
        add(engine, "a")
        assert names(engine) == ["a"]
    finally:
        engine.dispose()
        cluster.run("DROP OWNED BY guest", "DROP ROLE guest", database=name)


def test_another_programs_file_is_told_and_left(tmp_path: Path, first: History) -> None:
    path = tmp_path / "things.db"
    for content in (b"not a database, but long enough to be one" * 200, b"PK"):
        path.write_bytes(content)
        engine = open_database(None, tmp_path, "things.db")
        with pytest.raises(DatabaseError, match="is not a list"), explained(engine, "list"):
            migrate(engine, first)
        assert path.read_bytes() == content


def test_a_log_that_grew_beside_a_reader_is_short_again(tmp_path: Path, first: History) -> None:
    engine = open_database(None, tmp_path, "things.db")
    migrate(engine, first)
    log = tmp_path / "things.db-wal"

    def write(count: int) -> None:
        for _ in range(count):
            with writing(engine) as connection:
                connection.execute(
                    text("INSERT INTO things (name) VALUES (hex(randomblob(200000)))")
                )

    with reading(engine) as reader:
        reader.execute(text("SELECT count(*) FROM things")).scalar_one()
        write(20)
        grown = log.stat().st_size
    write(20)
    assert grown > LOG_BYTES + 2_000_000
    assert log.stat().st_size <= LOG_BYTES + 2_000_000
    engine.dispose()
