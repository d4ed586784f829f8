"""Consents say whether they are to clips of sound, too: those of before are not."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column."""
    clips = sa.Column("clips", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("exam_consents", clips)
