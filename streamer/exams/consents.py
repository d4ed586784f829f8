"""Consents: who agreed to what, for how long, and when they took it back; and when it was used.

Rows name nobody: a person is the random number that the store of voiceprints knows them by. They
stay when the voiceprint is deleted, as the proof that it was made with consent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from streamer.exams.exam import ConsentRow
from streamer.exams.tables import CONSENTS, TEXTS, USES

PURPOSE = "to check, while somebody speaks, whether the voice is theirs"
CLIPS_PURPOSE = "to keep sound around what is marked"
NOBODY = bytes(16)  # in place of a person: since when uses are noted at all
NOTED_S = 3600.0  # between two notes that the same voiceprint is in use, each of which is a write


def text_hash(text: str) -> str:
    """By which a wording is known: its sha256 in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


class Consents:
    """In the database of records. Every method may raise :class:`ExamError`."""

    def __init__(
        self,
        reading: Callable[[], AbstractContextManager[Connection]],
        writing: Callable[..., AbstractContextManager[Connection]],
    ) -> None:
        self._reading, self._writing = reading, writing
        self._noted: dict[bytes, float] = {}

    def give(self, row: ConsentRow, text: str) -> None:
        """Somebody has agreed to ``text``, whose hash stands in the row."""
        values = {name: getattr(row, name) for name in row.__struct_fields__}
        values["person"] = bytes.fromhex(row.person)
        values["candidate"] = bytes.fromhex(row.candidate) or None
        with self._writing() as connection:
            known = sa.select(TEXTS.c.sha256).where(TEXTS.c.sha256 == row.text_sha256)
            if connection.scalar(known) is None:
                connection.execute(TEXTS.insert().values(sha256=row.text_sha256, text=text))
            connection.execute(CONSENTS.insert().values(**values))

    def withdraw(self, person: bytes, now: float) -> int:
        """Somebody takes back all that they agreed to; how many consents that were."""
        with self._writing() as connection:
            of_person = (CONSENTS.c.person == person) & CONSENTS.c.withdrawn_at.is_(None)
            change = CONSENTS.update().where(of_person).values(withdrawn_at=now)
            return connection.execute(change).rowcount

    def withdraw_clips(self, candidate: str, now: float) -> None:
        """Somebody takes back, for one exam, that sound is kept, and that alone.

        Who agreed to it in one text with all else has a row of that, taken back: the rest holds.
        """
        allowed = self.of(candidate=candidate)[-1:]
        of_clips = CONSENTS.c.purpose.startswith(CLIPS_PURPOSE, autoescape=True)
        theirs = (CONSENTS.c.candidate == bytes.fromhex(candidate)) & of_clips
        with self._writing() as connection:
            change = CONSENTS.update().where(theirs, CONSENTS.c.withdrawn_at.is_(None))
            connection.execute(change.values(withdrawn_at=now))
        for row in allowed:
            if row.clips and row.withdrawn_at is None and not row.purpose.startswith(CLIPS_PURPOSE):
                changes = {"purpose": CLIPS_PURPOSE, "withdrawn_at": now}
                self.give(msgspec.structs.replace(row, **changes), self.text(row.text_sha256) or "")

    def of(self, *, person: bytes | None = None, candidate: str = "") -> list[ConsentRow]:
        """The consents of a person, or those given on a candidate's page; oldest first."""
        with self._reading() as connection:
            return _consents(connection, person, candidate)

    def allow_clips(self, person: bytes, candidate: str) -> bool:
        """Whether somebody agreed, in that exam, that sound around incidents is kept."""
        with self._reading() as connection:
            return clips_allowed(connection, person, candidate)

    def allowing_clips(self) -> set[str]:
        """The candidates who last agreed to that, and have not taken it back."""
        newest = sa.select(sa.func.max(CONSENTS.c.number)).group_by(CONSENTS.c.candidate)
        query = sa.select(CONSENTS.c.candidate).where(
            CONSENTS.c.number.in_(newest),
            CONSENTS.c.candidate.is_not(None),
            CONSENTS.c.withdrawn_at.is_(None),
            CONSENTS.c.clips,
        )
        with self._reading() as connection:
            return {bytes(candidate).hex() for candidate in connection.scalars(query)}

    def text(self, sha256: str) -> str | None:
        """What was agreed to, by its hash."""
        with self._reading() as connection:
            return connection.scalar(sa.select(TEXTS.c.text).where(TEXTS.c.sha256 == sha256))

    def used(self, people: Iterable[bytes], now: float) -> None:
        """These voiceprints are compared with somebody: noted once an hour."""
        due = [one for one in people if now - self._noted.get(one, float("-inf")) >= NOTED_S]
        if not due:
            return
        with self._writing(told=False) as connection:  # it changes nobody's seat
            for person in due:
                change = USES.update().where(USES.c.person == person).values(used_at=now)
                if not connection.execute(change).rowcount:
                    connection.execute(USES.insert().values(person=person, used_at=now))
        self._noted.update(dict.fromkeys(due, now))

    def noted_since(self, now: float) -> float:
        """From when on uses are noted: the first time that this was asked."""
        with self._reading() as connection:
            since = connection.scalar(sa.select(USES.c.used_at).where(USES.c.person == NOBODY))
        if since is None:
            with self._writing() as connection:
                connection.execute(USES.insert().values(person=NOBODY, used_at=now))
        return now if since is None else float(since)

    def last_used(self) -> dict[bytes, float]:
        """When voiceprints were last in use, of those that ever were."""
        with self._reading() as connection:
            rows = connection.execute(sa.select(USES.c.person, USES.c.used_at))
            return {bytes(person): used_at for person, used_at in rows}


def clips_allowed(connection: Connection, person: bytes, candidate: str) -> bool:
    """As :meth:`Consents.allow_clips`, within a transaction that there is already."""
    rows = _consents(connection, person, candidate)
    return bool(rows) and rows[-1].clips and rows[-1].withdrawn_at is None


def _consents(connection: Connection, person: bytes | None, candidate: str) -> list[ConsentRow]:
    query = sa.select(CONSENTS).order_by(CONSENTS.c.number)
    if person is not None:
        query = query.where(CONSENTS.c.person == person)
    if candidate:
        query = query.where(CONSENTS.c.candidate == bytes.fromhex(candidate))
    return [_row(found) for found in connection.execute(query).mappings()]


def _row(found: Any) -> ConsentRow:
    fields = {name: found[name] for name in ConsentRow.__struct_fields__}
    fields["person"] = bytes(found["person"]).hex()
    fields["candidate"] = bytes(found["candidate"] or b"").hex()
    return ConsentRow(**fields)
