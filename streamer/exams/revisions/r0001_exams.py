"""The first tables: exams, rosters, consents, and when voiceprints were last used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "exams",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("starts_at", sa.Double, nullable=False),
        sa.Column("ends_at", sa.Double, nullable=False),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
    )
    op.create_table(
        "exam_candidates",
        sa.Column("reference", sa.LargeBinary(16), primary_key=True),
        sa.Column("exam", sa.String(16), sa.ForeignKey("exams.id"), nullable=False, index=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("link", sa.Integer, nullable=False),
        sa.Column("withdrawn_at", sa.Double),
    )
    op.create_table(
        "exam_consents",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("person", sa.LargeBinary(16), nullable=False, index=True),
        sa.Column("candidate", sa.LargeBinary(16), index=True),
        sa.Column("text_sha256", sa.String(64), nullable=False),
        sa.Column("text_version", sa.String(64), nullable=False),
        sa.Column("language", sa.String(35), nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("term_s", sa.Double),
        sa.Column("signer", sa.Text, nullable=False),
        sa.Column("given_at", sa.Double, nullable=False),
        sa.Column("withdrawn_at", sa.Double),
    )
    op.create_table(
        "exam_consent_texts",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_table(
        "exam_voiceprint_uses",
        sa.Column("person", sa.LargeBinary(16), primary_key=True),
        sa.Column("used_at", sa.Double, nullable=False),
    )
    changes = op.create_table("exam_changes", sa.Column("count", sa.Integer, nullable=False))
    op.bulk_insert(changes, [{"count": 0}])
