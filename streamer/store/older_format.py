"""A store of format 1, which had names in the clear and one key for all, brought over to today's.

It had its people in `profiles` and `prototypes`. Both are read, written anew and dropped in one
transaction; SQLite overwrites what they held with zeros.
"""

from __future__ import annotations

import secrets
import sqlite3

import msgspec

from streamer.store import audit
from streamer.store.database import create
from streamer.store.errors import StoreError, WrongKey
from streamer.store.people import Enrolment, Person, Record
from streamer.store.person_keys import ID_BYTES
from streamer.store.replacement import replace
from streamer.store.seal import BrokenSeal, Seal
from streamer.store.vault import Vault

KEY_CHECK = b"voxwatch"


def bring_over(vault: Vault, now: float) -> None:
    """All of it or nothing. The caller has the lock. Raises :class:`StoreError`."""

    def people() -> list[Person]:
        found = _people(vault.database, _seal(vault))
        vault.database.execute("DROP TABLE prototypes")
        vault.database.execute("DROP TABLE profiles")
        vault.database.execute("DELETE FROM about WHERE name = 'key_check'")
        create(vault.database)
        return found

    entry = audit.Entry(now, audit.FINISHED, "upgrade", detail="from format 1 to format 2")
    replace(vault, people, vault.key, entry)
    vault.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the zeros, over the old pages


def _seal(vault: Vault) -> Seal:
    seal = Seal(vault.key, vault.about("store_id"))
    try:
        seal.open(vault.about("key_check"), KEY_CHECK)
    except BrokenSeal as error:
        raise WrongKey(
            f"this key is not the one the store {vault.path} was made with: restore that key (the"
            " file `key` beside it, or VOXWATCH_KEY)"
        ) from error
    return seal


def _people(database: sqlite3.Connection, seal: Seal) -> list[Person]:
    prototypes: dict[int, list[sqlite3.Row]] = {}
    for row in database.execute("SELECT * FROM prototypes ORDER BY profile, number"):
        prototypes.setdefault(row["profile"], []).append(row)
    return [
        _person(row, prototypes.get(row["id"], []), seal)
        for row in database.execute("SELECT * FROM profiles ORDER BY name")
    ]


def _person(row: sqlite3.Row, prototypes: list[sqlite3.Row], seal: Seal) -> Person:
    record = msgspec.convert({name: row[name] for name in Record.__struct_fields__}, Record)
    enrolments = []
    for one in prototypes:
        place = row["id"], one["number"], row["name"], row["model_sha256"], one["speech_s"]
        try:
            embedding = seal.open(one["sealed"], *place)
        except BrokenSeal as error:
            raise StoreError(
                f"the voiceprint of {row['name']!r} is damaged, and the store is left as it is: "
                "delete it with the version of voxwatch that made it, and enrol again"
            ) from error
        enrolments.append(
            Enrolment(
                added_at=one["added_at"],
                speech_s=one["speech_s"],
                consent_version=one["consent_version"],
                consent_at=one["consent_at"],
                embedding=embedding,
            )
        )
    return Person(secrets.token_bytes(ID_BYTES), record, tuple(enrolments))
