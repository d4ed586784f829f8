"""The tables of LTI, in the database of records.

No name stands in them: a learner is a line of a roster, and what a platform told of an attempt is
sealed, and deleted when the attempt is over.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from streamer.database import History

METADATA = sa.MetaData()
HISTORY = History(Path(__file__).parent / "revisions", "lti_revision", "0001", METADATA)

# This tool's own keys. All times are in seconds since 1970.
KEYS = sa.Table(
    "lti_keys",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),  # as in the key set: `kid`
    sa.Column("sealed", sa.LargeBinary, nullable=False),  # the private key
    sa.Column("public", sa.Text, nullable=False),  # in PEM
    sa.Column("signs_at", sa.Double, nullable=False),  # from when on it signs
    sa.Column("until", sa.Double),  # it stands in the key set; none: until there is another
)
# Logins from which nobody has come back yet.
LOGINS = sa.Table(
    "lti_logins",
    METADATA,
    sa.Column("state", sa.String(64), primary_key=True),
    sa.Column("nonce", sa.String(128), nullable=False),
    sa.Column("issuer", sa.Text, nullable=False),
    sa.Column("client", sa.Text, nullable=False),
    sa.Column("until", sa.Double, nullable=False),
)
EXAMS = sa.Table(
    "lti_exams",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("issuer", sa.Text, nullable=False),
    sa.Column("client", sa.Text, nullable=False),
    sa.Column("deployment", sa.Text, nullable=False),
    sa.Column("context", sa.Text, nullable=False),  # the course; empty where none was told
    sa.Column("link", sa.Text, nullable=False),  # the resource link, of which each is an exam
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("speaking", sa.Boolean, nullable=False),
    sa.Column("exam", sa.String(16)),  # of ours, in which the next attempt is
)
ATTEMPTS = sa.Table(
    "lti_attempts",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("tag", sa.LargeBinary(32), nullable=False, unique=True),  # of learner and number
    sa.Column("lti_exam", sa.String(32), sa.ForeignKey("lti_exams.id"), nullable=False, index=True),
    sa.Column("exam", sa.String(16), nullable=False),  # of ours
    sa.Column("candidate", sa.LargeBinary(16), nullable=False),  # the line of its roster
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("heard_at", sa.Double),  # when the learner was first let go on
    sa.Column("ended_at", sa.Double),
    sa.Column("sealed", sa.LargeBinary),  # the launch; none when it is not needed any more
    sa.Column("flagged", sa.Text, nullable=False),  # incidents that the platform knows, as JSON
    sa.Column("tries", sa.Integer, nullable=False),  # to tell it, that failed one after another
    sa.Column("next_at", sa.Double, nullable=False),  # when to look at the attempt again
)
