"""The audit log: who did what to whom in the store, and when; nothing of a voice.

A person is noted by a random number: they are told by name as long as they are enrolled, and
the name goes with them.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, insert, select

from streamer.store.tables import AUDIT

EXPIRY = "expiry"  # who deletes voiceprints whose time has run out
FINISHED = "finished at opening"  # who removes what an interrupted deletion left


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
