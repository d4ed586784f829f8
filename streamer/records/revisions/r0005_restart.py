"""Which entry of the register says where it begins, since what came before was cut."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Integer

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add it."""
    op.add_column("record_about", Column("restart", Integer))
