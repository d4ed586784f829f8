"""When somebody was forgotten in a stream that goes on: their texts are erased once."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Double

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add it."""
    op.add_column("record_people", Column("forgotten_at", Double))
