"""The tables of records, from nothing."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Double, ForeignKey, Integer, LargeBinary, String

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "record_streams",
        Column("stream", String(64), primary_key=True),
        Column("exam", String(64)),
        Column("candidate", String(64)),
        Column("started_at", Double, nullable=False),
        Column("ended_at", Double),
        Column("held_by", String(200)),
        Column("text_key", LargeBinary),
        Column("length", Integer, nullable=False),
        Column("hash", LargeBinary, nullable=False),
        Column("signature", LargeBinary, nullable=False),
    )
    op.create_index("record_streams_exam", "record_streams", ["exam"])
    op.create_index("record_streams_started", "record_streams", ["started_at"])
    op.create_table(
        "record_entries",
        Column("stream", String(64), ForeignKey("record_streams.stream"), primary_key=True),
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("hash", LargeBinary, nullable=False),
        Column("body", LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "record_people",
        Column("stream", String(64), ForeignKey("record_streams.stream"), primary_key=True),
        Column("person", String(64), primary_key=True),
    )
    op.create_index("record_people_person", "record_people", ["person"])
    op.create_table(
        "record_register",
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("hash", LargeBinary, nullable=False),
        Column("body", LargeBinary, nullable=False),
    )
    op.create_table(
        "record_about",
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("secret", LargeBinary, nullable=False),
        Column("next_secret", LargeBinary),
        Column("length", Integer, nullable=False),
        Column("hash", LargeBinary, nullable=False),
        Column("signature", LargeBinary, nullable=False),
    )
