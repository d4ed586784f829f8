"""The audit log: who did what to whom in the store, and when; nothing of a voice.

A person is noted by a random number: they are told by name as long as they are enrolled, and
the name goes with them. What is older than its term is removed, and one entry counts it.
"""

from __future__ import annotations

import getpass
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select

from streamer.store.tables import AUDIT

EXPIRY = "expiry"  # who deletes voiceprints whose time has run out
FINISHED = "finished at opening"  # who removes what an interrupted deletion left
SHORTENED = "shorten"  # the act that counts all that were removed as their time had run out
_COUNT = re.compile(r"(\d+) acts? of (\S+) to (\S+)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One act. ``at`` in seconds since 1970; ``person`` is a number of the store, or nobody's."""

    at: float
    who: str
    act: str
    person: bytes | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """An entry as it is told: ``person`` by name, or as ``(deleted 1a2b3c4d)``."""

    number: int
    at: float
    who: str
    act: str
    person: str
    detail: str


def write(database: Connection, entry: Entry) -> None:
    """Add an entry, within the transaction of the act itself."""
    database.execute(insert(AUDIT).values(asdict(entry)))


def read(database: Connection, names: Mapping[bytes, str]) -> list[Told]:
    """All entries, oldest first; ``names`` are those of the people who are enrolled."""
    return [
        Told(row.number, row.at, row.who, row.act, _named(row.person, names), row.detail)
        for row in database.execute(select(AUDIT).order_by(AUDIT.c.number))
    ]


def is_due(database: Connection, before: float) -> bool:
    """Whether there is anything of before then that :func:`shorten` would remove."""
    return database.execute(select(AUDIT.c.number).where(_due(before)).limit(1)).first() is not None


def shorten(database: Connection, before: float, now: float) -> int:
    """Remove the acts of before then, within a transaction; how many they were.

    One entry says how many that were, and of when, with all that were removed earlier. Nobody else
    writes meanwhile.
    """
    told = delete(AUDIT).where(or_(_due(before), AUDIT.c.act == SHORTENED))
    gone = database.execute(told.returning(AUDIT.c.at, AUDIT.c.act, AUDIT.c.detail)).all()
    write(database, Entry(now, EXPIRY, SHORTENED, detail=_counted(gone)))
    return sum(row.act != SHORTENED for row in gone)


def _due(before: float) -> ColumnElement[bool]:
    return (AUDIT.c.act != SHORTENED) & (AUDIT.c.at < before)


def _counted(gone: Iterable[Sequence[Any]]) -> str:
    """How many acts were removed, with those of earlier times, and from which day to which."""
    count, days = 0, list[str]()
    for at, act, detail in gone:
        earlier = _COUNT.fullmatch(detail) if act == SHORTENED else None
        day = time.strftime("%Y-%m-%d", time.gmtime(at))
        count += int(earlier[1]) if earlier else 1
        days += [earlier[2], earlier[3]] if earlier else [day]
    return f"{count} {'act' if count == 1 else 'acts'} of {min(days)} to {max(days)}"


def local_user() -> str:
    """Who acts on this machine itself, without a token."""
    number = f" ({os.getuid()})" if hasattr(os, "getuid") else ""
    try:
        return f"local user {getpass.getuser()}{number}"
    except (KeyError, OSError):  # a container's user may have no name
        return f"local user{number}"


def _named(person: bytes | None, names: Mapping[bytes, str]) -> str:
    if person is None:
        return ""
    return names.get(person, f"(deleted {person.hex()[:8]})")
