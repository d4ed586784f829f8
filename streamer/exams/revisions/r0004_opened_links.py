"""Lines of rosters say when their link was first opened."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column."""
    op.add_column("exam_candidates", sa.Column("opened_at", sa.Double))
