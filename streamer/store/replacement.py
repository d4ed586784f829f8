"""Everybody anew, in one step: how a store is made, brought over, rotated and restored.

A new file of person keys is written beside the old one; the database is rewritten for it in one
transaction, in which it says that it belongs to the new file; then the new file takes the old
one's place, whose content is overwritten. Killed before the commit, all is as it was. Killed
after it, all is new, and the next to open the store finishes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from sqlalchemy import delete

from streamer.database import shorten_log
from streamer.store import audit
from streamer.store.errors import StoreError
from streamer.store.people import People, Person
from streamer.store.person_keys import PersonKeys, new_person
from streamer.store.tables import PEOPLE
from streamer.store.vault import Vault


def replace(
    vault: Vault, source: Callable[[], Sequence[Person]], key: bytes, entry: audit.Entry | None
) -> None:
    """Those whom ``source`` gives and nobody else, each with a fresh key, wrapped by ``key``.

    ``source`` is called within the transaction, and may change tables. The caller has the lock.
    """
    with vault.transaction() as database:
        people = source()
        _check_whole(people)
        entries = [new_person(p.record.name)._replace(person=p.number) for p in people]
        new_id = PersonKeys.create(vault.next_path, key, entries, _generation(vault) + 1)
        keys = PersonKeys.read(vault.next_path, key)
        rows = People(database, keys, vault.about().store_id)
        database.execute(delete(PEOPLE))
        for person_key, person in zip(entries, people, strict=True):
            rows.insert(person_key, person.record, person.enrolments)
        vault.say(keys=new_id)
        vault.note_change(keys)
        if entry is not None:
            audit.write(database, entry)
    vault.key = key
    vault.finish_replacement()
    shorten_log(vault.engine)


def _generation(vault: Vault) -> int:
    """Up to which change the keys go that are replaced."""
    with contextlib.suppress(FileNotFoundError):
        content = vault.key_path.read_bytes()
        return vault.opened(vault.key_path, content).generation
    return 0


def _check_whole(people: Sequence[Person]) -> None:
    for person in people:
        if person.damaged:
            raise StoreError(
                f"the voiceprint of {person.record.name!r} is damaged: delete it first"
            )
