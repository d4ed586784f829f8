"""The tables of voiceprints, or those of 0.4.0, whose facts without a type get columns.

SQLite alone has older tables: `people`, `enrolments`, `gone` and `audit` are as they were.
"""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None
# The programs before this one go by it: they say that the store is a later program's.
SQLITE_USER_VERSION = 3
NUMBER: sa.types.TypeEngine[int] = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    """See above."""
    names = sa.inspect(op.get_bind()).get_table_names()
    if "people" not in names:
        _make_people()
    store = op.create_table(
        "store",
        sa.Column("store_id", sa.LargeBinary, primary_key=True),
        sa.Column("keys", sa.LargeBinary),
        sa.Column("version", NUMBER, nullable=False),
        sa.Column("generation", NUMBER, nullable=False),
        sa.Column("clock", sa.Text),
        sqlite_strict=True,
    )
    facts = {"store_id": secrets.token_bytes(16), "version": 0, "generation": 0}
    if "about" in names:
        facts |= dict(op.get_bind().execute(sa.text("SELECT name, value FROM about")).all())
        op.drop_table("about")
    op.bulk_insert(store, [{one.name: facts.get(one.name) for one in store.columns}])
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"PRAGMA user_version = {SQLITE_USER_VERSION}")


def _make_people() -> None:
    op.create_table(
        "people",
        sa.Column("person", sa.LargeBinary, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "enrolments",
        sa.Column(
            "person",
            sa.LargeBinary,
            sa.ForeignKey("people.person", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "gone", sa.Column("person", sa.LargeBinary, primary_key=True), sqlite_strict=True
    )
    op.create_table(
        "audit",
        sa.Column("number", NUMBER, primary_key=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("act", sa.Text, nullable=False),
        sa.Column("person", sa.LargeBinary),
        sa.Column("detail", sa.Text, nullable=False),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
