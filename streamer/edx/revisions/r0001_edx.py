"""The first tables: Open edX's exams, attempts, and links that were used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "edx_exams",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("course", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("due_at", sa.Double),
        sa.Column("limit_s", sa.Double, nullable=False),
        sa.Column("practice", sa.Boolean, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("exam", sa.String(16)),
    )
    op.create_table(
        "edx_attempts",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column(
            "edx_exam", sa.String(32), sa.ForeignKey("edx_exams.id"), nullable=False, index=True
        ),
        sa.Column("exam", sa.String(16), nullable=False),
        sa.Column("candidate", sa.LargeBinary(16), nullable=False),
        sa.Column("limit_s", sa.Double, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("ready_at", sa.Double),
        sa.Column("review", sa.Text),
        sa.Column("entries", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_at", sa.Double, nullable=False),
    )
    op.create_table(
        "edx_links",
        sa.Column("number", sa.String(128), primary_key=True),
        sa.Column("until", sa.Double, nullable=False),
    )
