"""The lines of rosters, sealed: each with a key of its own, for its exam and its place."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from streamer.exams.errors import ExamError
from streamer.exams.exam import MAX_NAME, Candidate, Entry
from streamer.exams.tables import CANDIDATES
from streamer.store.person_keys import PersonKey, PersonKeys
from streamer.store.seal import BrokenSeal, Seal

DIGITS = 12  # of a hash, which tell names apart that were cut


def place(exam: str, candidate: str) -> str:
    """By what the key of a line is found."""
    return f"{exam}/{candidate}"


def own_voiceprint(exam: str, candidate: str) -> str:
    """The name of a voiceprint that serves in this exam alone: numbers begin anew elsewhere."""
    name = f"{candidate}@{exam}"
    if len(name) <= MAX_NAME:
        return name
    digest = hashlib.sha256(candidate.encode()).hexdigest()[:DIGITS]
    return f"{candidate[: MAX_NAME - DIGITS - len(exam) - 2]}~{digest}@{exam}"


def lines(connection: Connection, exam: str | None = None) -> Sequence[RowMapping]:
    """The rows of one roster in its order, or those of all; :func:`opened` reads them.

    That is done when the transaction is over: reading the keys may wait for whoever writes, and who
    waits within a transaction keeps others from writing, too.
    """
    query = sa.select(CANDIDATES).order_by(CANDIDATES.c.exam, CANDIDATES.c.number)
    if exam is not None:
        query = query.where(CANDIDATES.c.exam == exam)
    return connection.execute(query).mappings().all()


def add_line(
    connection: Connection, person: PersonKey, exam: str, number: int, entry: Entry
) -> None:
    """A new line of a roster, sealed with its own key."""
    values = {
        "reference": person.person,
        "exam": exam,
        "number": number,
        "sealed": seal(person.key, exam, person.person, entry),
        "link": 0,
    }
    connection.execute(CANDIDATES.insert().values(**values))


def change_line(connection: Connection, keys: PersonKeys, known: Candidate, entry: Entry) -> None:
    """What a line that is there says from now on."""
    reference = bytes.fromhex(known.id)
    key = keys.key_of(reference)
    assert key is not None
    sealed = seal(key, known.exam, reference, entry)
    line = CANDIDATES.c.reference == reference
    connection.execute(CANDIDATES.update().where(line).values(sealed=sealed))


def seal(key: bytes, exam: str, reference: bytes, entry: Entry) -> bytes:
    """What a roster says of somebody, for the table."""
    return Seal(key, exam.encode()).close(msgspec.msgpack.encode(entry), reference)


def opened(row: Any, keys: PersonKeys) -> Candidate:
    """A row of the table, as far as there is a key to it. Raises :class:`ExamError`."""
    reference = bytes(row["reference"])
    told = Candidate(
        id=reference.hex(),
        exam=row["exam"],
        link=row["link"],
        withdrawn_at=row["withdrawn_at"],
        clips_refused_at=row["clips_refused_at"],
        opened_at=row["opened_at"],
        link_expires_at=row["link_expires_at"],
    )
    try:
        key = keys.key_of(reference)
        if key is None:
            return msgspec.structs.replace(told, forgotten=True)
        sealed = Seal(key, row["exam"].encode()).open(bytes(row["sealed"]), reference)
        entry = msgspec.msgpack.decode(sealed, type=Entry)
    except BrokenSeal as error:
        raise ExamError(
            f"line {row['number']} of a roster was damaged or changed in the database"
        ) from error
    return msgspec.structs.replace(
        told,
        candidate=entry.candidate,
        name=entry.name,
        voiceprint=entry.voiceprint or entry.candidate,
        accommodations=entry.accommodations,
    )
