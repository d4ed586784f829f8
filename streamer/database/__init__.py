"""Databases of this program: SQLite in the data folder, or PostgreSQL, by SQLAlchemy Core."""

from streamer.database.engine import (
    BUSY_S,
    check_whole,
    described,
    file_before,
    make_folder,
    open_database,
    reading,
    shorten_log,
    wipe,
    writing,
)
from streamer.database.errors import DatabaseError, explained, shown
from streamer.database.migrations import History, load_alembic, migrate, upgrade
from streamer.database.moving import copy_rows

__all__ = [
    "BUSY_S",
    "DatabaseError",
    "History",
    "check_whole",
    "copy_rows",
    "described",
    "explained",
    "file_before",
    "load_alembic",
    "make_folder",
    "migrate",
    "open_database",
    "reading",
    "shorten_log",
    "shown",
    "upgrade",
    "wipe",
    "writing",
]
