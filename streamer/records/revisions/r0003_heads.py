"""A column for the sum over the ends of all streams; who opens the record next fills it."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, LargeBinary

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add it."""
    op.add_column("record_about", Column("heads", LargeBinary))
