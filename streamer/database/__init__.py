"""Databases of this program: SQLite in the data folder, or PostgreSQL, by SQLAlchemy Core."""

from streamer.database.engine import (
    BUSY_S,
    check_whole,
    described,
    make_folder,
    open_database,
    reading,
    shorten_log,
    writing,
)
from streamer.database.errors import DatabaseError, explained, shown
from streamer.database.migrations import History, migrate, upgrade

__all__ = [
    "BUSY_S",
    "DatabaseError",
    "History",
    "check_whole",
    "described",
    "explained",
    "make_folder",
    "migrate",
    "open_database",
    "reading",
    "shorten_log",
    "shown",
    "upgrade",
    "writing",
]
