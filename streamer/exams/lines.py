"""The lines of rosters, sealed: each with a key of its own, for its exam and its place."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from streamer.exams.errors import ExamError
from streamer.exams.exam import MAX_NAME, Candidate, Entry
from streamer.store.person_keys import PersonKeys
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
