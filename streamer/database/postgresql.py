"""A server of PostgreSQL: how it is reached. All tables lie in a schema of their own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError

from streamer.database.errors import DatabaseError

SCHEMA = "voxwatch"
READING: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
LIKE = "postgresql://USER@HOST/DATABASE"
MIGRATING = 0x766F7857  # the advisory lock of whoever makes or changes tables
# A server that does not answer is told from a slow one after so long.
CONNECTION: dict[str, Any] = {
    "connect_timeout": 10,  # s
    "keepalives_idle": 10,  # s
    "keepalives_interval": 5,  # s
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # ms
    "application_name": "voxwatch",
}


def make_engine(url: str, busy_s: float) -> Engine:
    """See :func:`streamer.database.engine.open_database`."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise _no_url() from None  # the cause would show the password
    if parsed.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise _no_url()
    try:
        engine = create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            connect_args={k: v for k, v in CONNECTION.items() if k not in parsed.query},
            pool_pre_ping=True,  # one that was restarted meanwhile is asked anew
            hide_parameters=True,
        )
    except ModuleNotFoundError as error:
        raise DatabaseError(
            "PostgreSQL needs psycopg: run `pip install 'voxwatch[postgresql]'`"
        ) from error

    @event.listens_for(engine, "connect")
    def prepare(database: Any, _: object) -> None:
        _prepare(database, busy_s)

    return engine


def prepare_schema(connection: Connection) -> None:
    """Wait for others who change tables until the end of the transaction; make the schema."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATING})
    # "IF NOT EXISTS" would want the right to make one, even where it is there.
    there = connection.execute(text("SELECT to_regnamespace(:name)"), {"name": SCHEMA}).scalar()
    if there is None:
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))


def _prepare(database: Any, busy_s: float) -> None:
    with database.cursor() as cursor:
        cursor.execute(f"SET search_path TO {SCHEMA}")
        cursor.execute(f"SET lock_timeout TO {round(1000 * busy_s)}")
        cursor.execute("SHOW synchronous_commit")
        if cursor.fetchone()[0] == "off":  # a commit is on the disk before it returns
            cursor.execute("SET synchronous_commit TO on")
    database.commit()


def _no_url() -> DatabaseError:
    return DatabaseError(f"the setting `database` is no URL like {LIKE}: correct it")
