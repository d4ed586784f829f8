"""Databases of this program: SQLite in the data folder, or PostgreSQL, by SQLAlchemy Core."""

from streamer.database.engine import open_database, reading, writing
from streamer.database.errors import DatabaseError, explained, shown
from streamer.database.migrations import History, migrate, upgrade

__all__ = [
    "DatabaseError",
    "History",
    "explained",
    "migrate",
    "open_database",
    "reading",
    "shown",
    "upgrade",
    "writing",
]
