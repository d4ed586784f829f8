"""The tables of the record, the same in SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

metadata = MetaData()

# A stream and the head of its chain. All but the head and the keys repeats what entries say, so
# that streams can be found by it; `streamer.records.verification` holds it to them.
streams = Table(
    "record_streams",
    metadata,
    Column("stream", String(64), primary_key=True),
    Column("exam", String(64)),
    Column("candidate", String(64)),
    Column("started_at", Double, nullable=False),  # s since 1970
    Column("ended_at", Double),
    Column("held_by", String(200)),  # who keeps it from being deleted
    Column("text_key", LargeBinary),  # wrapped; none: the texts were erased
    Column("length", Integer, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    # None but where the last entry may be the last for long: see `streamer.records.growth`.
    Column("signature", LargeBinary, nullable=False),
)
Index("record_streams_exam", streams.c.exam)
Index("record_streams_started", streams.c.started_at)

entries = Table(
    "record_entries",
    metadata,
    Column("stream", String(64), ForeignKey("record_streams.stream"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # from 1 without gaps
    Column("hash", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),  # the entry as JSON
    sqlite_with_rowid=False,  # stream and number once, and not in an index of their own too
)

# Of whom a stream speaks, people and lines of rosters, until they were forgotten: so it is found
# when they are deleted.
people = Table(
    "record_people",
    metadata,
    Column("stream", String(64), ForeignKey("record_streams.stream"), primary_key=True),
    Column("person", String(64), primary_key=True),
    # s since 1970, of one whose record is deleted as soon as the stream has ended.
    Column("forgotten_at", Double),
)
Index("record_people_person", people.c.person)

# The sound of incidents, of which an entry has the sha256; sealed with the stream's `text_key`.
clips = Table(
    "record_clips",
    metadata,
    Column("stream", String(64), ForeignKey("record_streams.stream"), primary_key=True),
    Column("incident", String(80), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

# A chain of its own: which streams there are, and who saw, exported or deleted them.
register = Table(
    "record_register",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

# One row: the secret that everything is signed with, and the head of the register.
about = Table(
    "record_about",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("secret", LargeBinary, nullable=False),
    Column("next_secret", LargeBinary),  # the same under a key that is about to be the store's
    Column("length", Integer, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("heads", LargeBinary),  # the sum over all streams' ends, which `signature` covers, too
    Column("restart", Integer),  # the entry of the register that says what was cut before it
)
