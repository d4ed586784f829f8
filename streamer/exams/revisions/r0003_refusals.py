"""Lines of rosters say when somebody refused that sound is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column."""
    op.add_column("exam_candidates", sa.Column("clips_refused_at", sa.Double))
