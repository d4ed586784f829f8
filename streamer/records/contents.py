"""Whether what a stream's entries say is also what its row, its people and its clips say.

Each function tells in words what does not hold; `streamer.records.verification` asks them all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from streamer.records import tables
from streamer.records.entries import Acted, AnyEntry, Clip, Ended, Started
from streamer.records.growth import PINNED, people_in
from streamer.records.register import ERASING, RegisterEntry
from streamer.records.signing import Secret, Texts
from streamer.store.seal import BrokenSeal


def unsigned(row: Row[Any], entries: Sequence[AnyEntry]) -> Iterator[str]:
    """A stream that goes on has no signature of its own, but in the sum of all."""
    over = row.ended_at is not None or (entries and isinstance(entries[-1], PINNED))
    if not row.signature and over:
        yield "its head is not signed"


def unsealed(notes: Sequence[RegisterEntry], hashes: Mapping[int, str]) -> Iterator[str]:
    for note in notes:
        if note.act == "sealed" and hashes.get(note.count) != note.hash:
            yield f"the register says that it had {note.count} entries, and which the last was"


def columns(row: Row[Any], entries: Sequence[AnyEntry]) -> Iterator[str]:
    """Whether the columns by which a stream is found repeat what its entries say."""
    first = entries[0] if entries else None
    started = first if isinstance(first, Started) else None
    if started is not None and started.stream != row.stream:
        yield "its entries are those of another stream"
    ends = [entry.at for entry in entries if isinstance(entry, Ended)]
    holds = [e for e in entries if isinstance(e, Acted) and e.act in ("hold", "release")]
    said = {
        "exam": started.exam if started else None,
        "candidate": started.candidate if started else None,
        "started_at": first.at if first else None,
        "ended_at": ends[-1] if ends else None,
        "held_by": holds[-1].who if holds and holds[-1].act == "hold" else None,
    }
    for name, value in said.items():
        if getattr(row, name) != value:
            yield f"the column {name} is not what its entries say"


def people(
    connection: Connection,
    row: Row[Any],
    entries: Iterable[AnyEntry],
    notes: Sequence[RegisterEntry],
) -> Iterator[str]:
    index = tables.people.c
    wanted = select(index.person, index.forgotten_at).where(index.stream == row.stream)
    there = {person: at for person, at in connection.execute(wanted)}
    said = people_in(entries)
    forgotten = any(note.act == "pseudonymised" for note in notes)
    if there.keys() - said or (said - there.keys() and not forgotten):
        yield "the people by whom it is found are not those of its entries"
    if any(at is not None for at in there.values()) and not forgotten:
        yield "somebody is marked as forgotten, and the register does not say so"


def texts(secret: Secret, row: Row[Any], notes: Sequence[RegisterEntry]) -> Iterator[str]:
    if row.text_key is None:
        if not any(note.act == "pseudonymised" for note in notes):
            yield "its texts were erased, and the register does not say so"
        return
    try:
        secret.texts(row.stream, row.text_key)
    except BrokenSeal:
        yield "the key of its texts was changed"


def clips(
    connection: Connection,
    secret: Secret,
    row: Row[Any],
    entries: Iterable[AnyEntry],
    notes: Sequence[RegisterEntry],
) -> Iterator[str]:
    """Whether there is the sound of which entries say so, as it was, and no other."""
    kept = tables.clips.c
    wanted = select(kept.incident, kept.sealed).where(kept.stream == row.stream)
    there = {incident: sealed for incident, sealed in connection.execute(wanted)}
    erased = [note.at for note in notes if note.act in ERASING]
    erased_at = max(erased, default=-1.0)
    key = _key(secret, row)
    for clip in (entry for entry in entries if isinstance(entry, Clip)):
        sealed = there.pop(clip.incident, None)
        if sealed is None and clip.at > erased_at:
            yield f"the sound of incident {clip.incident} is lacking"
        if sealed is not None and _sha256(key, sealed, clip.incident) != clip.sha256:
            yield f"the sound of incident {clip.incident} was changed"
    for incident in there:
        yield f"there is sound of incident {incident}, and no entry says so"


def _sha256(key: Texts | None, sealed: bytes, incident: str) -> str | None:
    if key is None:
        return None
    try:
        return hashlib.sha256(key.open_clip(sealed, incident)).hexdigest()
    except BrokenSeal:
        return None


def _key(secret: Secret, row: Row[Any]) -> Texts | None:
    try:
        return None if row.text_key is None else secret.texts(row.stream, row.text_key)
    except BrokenSeal:
        return None
