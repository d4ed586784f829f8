"""A store of format 1, which had names in the clear and one key for all, brought over to today's.

It had its people in `profiles` and `prototypes`. Both are read, written anew and dropped in one
transaction; SQLite overwrites what they held with zeros.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, text

from streamer.database import shorten_log, upgrade
from streamer.store import audit
from streamer.store.errors import StoreError, WrongKey
from streamer.store.people import Enrolment, Person, Record
from streamer.store.person_keys import ID_BYTES
from streamer.store.replacement import replace
from streamer.store.seal import BrokenSeal, Seal
from streamer.store.tables import HISTORY
from streamer.store.vault import Vault

KEY_CHECK = b"voxwatch"


def bring_over(vault: Vault, now: float) -> None:
    """All of it or nothing. The caller has the lock. Raises :class:`StoreError`."""

    def people() -> list[Person]:
        with vault.transaction() as database:
            found = _people(database, _seal(vault, database))
            database.execute(text("DROP TABLE prototypes"))
            database.execute(text("DROP TABLE profiles"))
            upgrade(database, HISTORY)
        return found

    entry = audit.Entry(now, audit.FINISHED, "upgrade", detail="from format 1 to format 2")
    replace(vault, people, vault.key, entry)
    shorten_log(vault.engine, wait=True)  # the zeros, over the old pages


def _seal(vault: Vault, database: Connection) -> Seal:
    facts: dict[str, Any] = dict(database.execute(text("SELECT name, value FROM about")).all())
    seal = Seal(vault.key, facts["store_id"])
    try:
        seal.open(facts["key_check"], KEY_CHECK)
    except BrokenSeal as error:
        raise WrongKey(
            f"this key is not the one the store {vault.where} was made with: restore that key (the"
            " file `key` beside it, or VOXWATCH_KEY)"
        ) from error
    return seal


def _people(database: Connection, seal: Seal) -> list[Person]:
    prototypes: dict[int, list[RowMapping]] = {}
    rows = database.execute(text("SELECT * FROM prototypes ORDER BY profile, number"))
    for row in rows.mappings():
        prototypes.setdefault(row["profile"], []).append(row)
    return [
        _person(row, prototypes.get(row["id"], []), seal)
        for row in database.execute(text("SELECT * FROM profiles ORDER BY name")).mappings()
    ]


def _person(row: RowMapping, prototypes: Sequence[RowMapping], seal: Seal) -> Person:
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
