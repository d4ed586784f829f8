"""Another key for the store, and with it another for each person; all is encrypted anew."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from streamer.store import audit
from streamer.store.keys import KEY_FILE, write_key
from streamer.store.people import Person
from streamer.store.replacement import replace
from streamer.store.seal import KEY_BYTES
from streamer.store.vault import NEXT, Vault


def rotate(
    vault: Vault,
    entry: audit.Entry,
    key: bytes | None = None,
    others: Sequence[Callable[[bytes], None]] = (),
) -> None:
    """Encrypt everything with ``key``, or with a new one that takes the place of the key file.

    ``others`` have something of theirs encrypted with the store's key: they are told the new one
    before the store has it, and must be readable with either until it has.
    Killed in the middle it is as before, or done when the store is opened next. The old key and
    the old keys of people are overwritten. Raises :class:`~streamer.store.errors.StoreError`.
    """
    with vault.exclusively():
        vault.finish_replacement()
        if key is None:
            key = secrets.token_bytes(KEY_BYTES)
            write_key(vault.folder / (KEY_FILE + NEXT), key)
        for tell in others:
            tell(key)
        replace(vault, lambda: _everybody(vault), key, entry)
        vault.finish_rotation()


def _everybody(vault: Vault) -> list[Person]:
    people = vault.people()
    people.remove_residues()
    return people.all()
