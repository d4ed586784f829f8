"""The keys of this tool: platforms check by the public halves what it tells them.

The private halves lie sealed in the database. A new key stands in the key set for a while before
it signs, so that platforms that keep the set know it by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from pylti1p3.registration import Registration

from streamer.lti.book import LtiBook
from streamer.lti.errors import LtiError
from streamer.lti.tables import KEYS
from streamer.store.seal import BrokenSeal

BITS = 2048
PUBLISHED_S = 3600.0  # that a new key is known before it signs
KEPT_S = 86_400.0  # that an old one is known after it has signed for the last time


class OwnKey(NamedTuple):
    """A pair, in PEM, and what it is called in the key set."""

    id: str
    private: str
    public: str


class KeyState(NamedTuple):
    """A key as it is told to people. Times in seconds since 1970."""

    id: str
    signs_at: float
    until: float | None


class OwnKeys:
    """Any thread may call it; it blocks. ``now`` is in seconds since 1970."""

    def __init__(self, book: LtiBook) -> None:
        self._book = book

    def signing(self, now: float) -> OwnKey:
        """The one that signs; the first is made when it is needed. Raises :class:`LtiError`."""
        query = sa.select(KEYS).order_by(KEYS.c.signs_at)
        with self._book.reading() as connection:
            rows = connection.execute(query).mappings().all()
        if not rows:
            first = _made()
            with self._book.writing() as connection:
                if connection.scalar(sa.select(KEYS.c.id)) is None:
                    connection.execute(KEYS.insert().values(**self._row(first, now)))
                rows = connection.execute(query).mappings().all()
        row = next((one for one in reversed(rows) if one["signs_at"] <= now), rows[0])
        try:
            private = self._book.seal.open(row["sealed"], row["id"]).decode()
        except BrokenSeal as error:
            raise LtiError("the tool's key cannot be read: voxwatch lti rotate --now") from error
        return OwnKey(row["id"], private, row["public"])

    def key_set(self, now: float) -> dict[str, Any]:
        """The public halves, as platforms fetch them (RFC 7517)."""
        self.signing(now)
        holds = KEYS.c.until.is_(None) | (KEYS.c.until > now)
        query = sa.select(KEYS.c.public).where(holds).order_by(KEYS.c.signs_at)
        with self._book.reading() as connection:
            found = connection.scalars(query).all()
        return {"keys": [Registration.get_jwk(public) for public in found]}

    def rotate(self, now: float, *, at_once: bool = False) -> OwnKey:
        """Another key signs, in an hour or ``at_once``; then the old ones hold no more."""
        made = _made()
        signs_at = now if at_once else now + PUBLISHED_S
        until = now if at_once else signs_at + KEPT_S
        with self._book.writing() as connection:
            old = KEYS.c.until.is_(None) if not at_once else sa.true()
            connection.execute(KEYS.update().where(old).values(until=until))
            connection.execute(KEYS.insert().values(**self._row(made, signs_at)))
            connection.execute(KEYS.delete().where(KEYS.c.until <= now))
        return made

    def all(self) -> list[KeyState]:
        """Those there are, by when they begin to sign."""
        columns = (KEYS.c.id, KEYS.c.signs_at, KEYS.c.until)
        with self._book.reading() as connection:
            found = connection.execute(sa.select(*columns).order_by(KEYS.c.signs_at)).all()
        return [KeyState(*row) for row in found]

    def _row(self, key: OwnKey, signs_at: float) -> Mapping[str, Any]:
        sealed = self._book.seal.close(key.private.encode(), key.id)
        return {
            "id": key.id, "sealed": sealed, "public": key.public,
            "signs_at": signs_at, "until": None,
        }  # fmt: skip


def _made() -> OwnKey:
    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    told = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    public = told.decode()
    return OwnKey(Registration.get_jwk(public)["kid"], private, public)
