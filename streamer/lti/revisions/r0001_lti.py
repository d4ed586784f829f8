"""The first tables: own keys, logins, exams of platforms, and attempts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "lti_keys",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("public", sa.Text, nullable=False),
        sa.Column("signs_at", sa.Double, nullable=False),
        sa.Column("until", sa.Double),
    )
    op.create_table(
        "lti_logins",
        sa.Column("state", sa.String(64), primary_key=True),
        sa.Column("nonce", sa.String(128), nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
    )
    op.create_table(
        "lti_exams",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("link", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("speaking", sa.Boolean, nullable=False),
        sa.Column("exam", sa.String(16)),
    )
    op.create_table(
        "lti_attempts",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("tag", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column(
            "lti_exam", sa.String(32), sa.ForeignKey("lti_exams.id"), nullable=False, index=True
        ),
        sa.Column("exam", sa.String(16), nullable=False),
        sa.Column("candidate", sa.LargeBinary(16), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("heard_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("flagged", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_at", sa.Double, nullable=False),
    )
