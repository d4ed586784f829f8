"""The tables of exams, in the database of records. No name stands in them in the clear.

They are made and changed by the revisions in `streamer/exams/revisions`.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from streamer.database import History

METADATA = sa.MetaData()
HISTORY = History(Path(__file__).parent / "revisions", "exams_revision", "0005", METADATA)

EXAMS = sa.Table(
    "exams",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("starts_at", sa.Double, nullable=False),  # all times: seconds since 1970
    sa.Column("ends_at", sa.Double, nullable=False),
    sa.Column("rules", sa.Text, nullable=False),  # as JSON
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double),
)
CANDIDATES = sa.Table(
    "exam_candidates",
    METADATA,
    sa.Column("reference", sa.LargeBinary(16), primary_key=True),
    sa.Column("exam", sa.String(16), sa.ForeignKey("exams.id"), nullable=False, index=True),
    sa.Column("number", sa.Integer, nullable=False),  # the line of the roster
    sa.Column("sealed", sa.LargeBinary, nullable=False),  # with the key of the line
    sa.Column("link", sa.Integer, nullable=False),
    sa.Column("withdrawn_at", sa.Double),
    sa.Column("clips_refused_at", sa.Double),  # none: did not say, or agreed since
    sa.Column("opened_at", sa.Double),  # the link that holds now, for the first time
    sa.Column("link_expires_at", sa.Double),  # the latest that was given out of it
)
CONSENTS = sa.Table(
    "exam_consents",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("person", sa.LargeBinary(16), nullable=False, index=True),
    sa.Column("candidate", sa.LargeBinary(16), index=True),
    sa.Column("text_sha256", sa.String(64), nullable=False),
    sa.Column("text_version", sa.String(64), nullable=False),
    sa.Column("language", sa.String(35), nullable=False),  # RFC 5646
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("term_s", sa.Double),
    sa.Column("signer", sa.Text, nullable=False),
    sa.Column("given_at", sa.Double, nullable=False),
    sa.Column("withdrawn_at", sa.Double),
    # whether they agreed that sound around incidents is kept
    sa.Column("clips", sa.Boolean, nullable=False, server_default=sa.false()),
)
# What people agreed to, once for each wording.
TEXTS = sa.Table(
    "exam_consent_texts",
    METADATA,
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
)
# When a voiceprint was last compared with somebody who claimed to be that person.
USES = sa.Table(
    "exam_voiceprint_uses",
    METADATA,
    sa.Column("person", sa.LargeBinary(16), primary_key=True),
    sa.Column("used_at", sa.Double, nullable=False),
)
# Counts the changes of the tables above, so that others see that there was one.
CHANGES = sa.Table("exam_changes", METADATA, sa.Column("count", sa.Integer, nullable=False))
