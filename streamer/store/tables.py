"""The tables of the store, in SQLite and in PostgreSQL, and which revision of them this is."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import (
    REAL,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.types import TypeEngine

from streamer.database import History

METADATA = MetaData()
HISTORY = History(Path(__file__).parent / "revisions", "store_revision", "0001", METADATA)
_TIME: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")
_NUMBER: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")

PEOPLE = Table(
    "people",
    METADATA,
    Column("person", LargeBinary, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
ENROLMENTS = Table(
    "enrolments",
    METADATA,
    Column("person", ForeignKey(PEOPLE.c.person, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
# Those who were deleted, so that no backup brings them back.
GONE = Table("gone", METADATA, Column("person", LargeBinary, primary_key=True))
AUDIT = Table(
    "audit",
    METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("at", _TIME, nullable=False),
    Column("who", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("person", LargeBinary),  # told by name as long as they are enrolled
    Column("detail", Text, nullable=False),
)
# What the database says of itself, in one row.
STORE = Table(
    "store",
    METADATA,
    Column("store_id", LargeBinary, primary_key=True),
    Column("keys", LargeBinary),  # which file of person keys it belongs to
    Column("version", _NUMBER, nullable=False),  # grows with every change
    Column("generation", _NUMBER, nullable=False),  # of the person keys that it knows of
    Column("clock", Text),  # what is known of the time, in JSON
)
