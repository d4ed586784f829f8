"""A table for clips of sound."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, ForeignKey, LargeBinary, String

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "record_clips",
        Column("stream", String(64), ForeignKey("record_streams.stream"), primary_key=True),
        Column("incident", String(80), primary_key=True),
        Column("sealed", LargeBinary, nullable=False),
    )
