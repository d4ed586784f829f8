"""Lines of rosters say until when the link holds that was given out for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; of links that were given out before it is not known."""
    op.add_column("exam_candidates", sa.Column("link_expires_at", sa.Double))
