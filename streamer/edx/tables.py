"""The tables of Open edX's exams and attempts, in the database of records.

No name stands in them, and no learner's number: a learner is a line of a roster.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from streamer.database import History

METADATA = sa.MetaData()
HISTORY = History(Path(__file__).parent / "revisions", "edx_revision", "0001", METADATA)

EXAMS = sa.Table(
    "edx_exams",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),  # what Open edX calls its `external_id`
    sa.Column("number", sa.BigInteger, nullable=False),  # Open edX's own
    sa.Column("course", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("due_at", sa.Double),  # all times: seconds since 1970
    sa.Column("limit_s", sa.Double, nullable=False),
    sa.Column("practice", sa.Boolean, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("rules", sa.Text, nullable=False),  # as JSON
    sa.Column("exam", sa.String(16)),  # of ours, in which the next attempt is
)
ATTEMPTS = sa.Table(
    "edx_attempts",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("edx_exam", sa.String(32), sa.ForeignKey("edx_exams.id"), nullable=False, index=True),
    sa.Column("exam", sa.String(16), nullable=False),  # of ours
    sa.Column("candidate", sa.LargeBinary(16), nullable=False),  # the line of its roster
    sa.Column("limit_s", sa.Double, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("started_at", sa.Double),
    sa.Column("ended_at", sa.Double),
    sa.Column("ready_at", sa.Double),  # when Open edX was told that the learner is heard
    sa.Column("review", sa.Text),  # what it was told of the attempt, as JSON
    sa.Column("entries", sa.Integer, nullable=False),  # of the record, on which the review rests
    sa.Column("tries", sa.Integer, nullable=False),  # to tell it, that failed one after another
    sa.Column("next_at", sa.Double, nullable=False),  # when to look at the attempt again
)
# Links of instructors that were used, until they would have expired.
LINKS = sa.Table(
    "edx_links",
    METADATA,
    sa.Column("number", sa.String(128), primary_key=True),
    sa.Column("until", sa.Double, nullable=False),
)
