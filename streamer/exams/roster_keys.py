"""The keys of the lines of rosters: a line is forgotten when its key is destroyed.

They lie in a file of their own beside `people.keys`, made in the same way: see
`streamer.store.person_keys`. A database cannot destroy anything in its place; this file can.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from streamer.exams.errors import ExamError
from streamer.store import audit
from streamer.store.person_keys import PersonKey, PersonKeys, is_whole
from streamer.store.seal import BrokenSeal
from streamer.store.shred import read_live, replace_with, shred
from streamer.store.vault import NEXT, Vault

ROSTER_KEYS_FILE = "roster.keys"


class RosterKeys:
    """The file, beside the store whose key wraps what is in it. Calls read or write the disk."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._path = vault.folder / ROSTER_KEYS_FILE
        self._next = self._path.with_name(ROSTER_KEYS_FILE + NEXT)

    def read(self) -> PersonKeys:
        """The keys as they are now, made if there are none. Raises :class:`ExamError`."""
        for refresh in (False, True):
            if refresh:  # the store's key may have been rotated by another process
                with self._vault.reading():
                    pass
            with contextlib.suppress(BrokenSeal):
                return self._opened(self._vault.key)
        raise ExamError(
            f"{self._path} was made with another key than the store: restore both from one moment"
        )

    def change(self) -> PersonKeys:
        """The keys, to be changed. The caller has the store's lock."""
        keys = self.read()
        if self._next.exists():
            if keys.content() == self._next.read_bytes():
                replace_with(self._next, self._path)
                keys = self.read()
            else:
                shred(self._next)
        return keys

    def add(self, keys: PersonKeys, entries: Iterable[PersonKey]) -> None:
        """Give new lines their keys; of a line that was never written the old one goes."""
        for entry in entries:
            if (left := keys.find(entry.name)) is not None:
                keys.destroy(left)
            keys.add(entry)

    def destroy(self, reference: bytes, entry: audit.Entry) -> None:
        """Destroy the key of a line. The caller has the store's lock."""
        keys = self.change()
        if reference in keys.people:
            keys.delete(entry)

    def rewrap(self, entries: Sequence[PersonKey], key: bytes) -> None:
        """Write the keys for another key of the store beside the file.

        They take its place as soon as the store has that key. The caller has the store's lock.
        """
        if self._path.exists():
            PersonKeys.create(self._next, key, entries, self.read().generation + 1)

    def _opened(self, key: bytes) -> PersonKeys:
        """Raises :class:`BrokenSeal`."""
        for path in (self._next, self._path):
            with contextlib.suppress(FileNotFoundError, BrokenSeal):
                content = read_live(path)
                if is_whole(content):
                    return PersonKeys(path, content, key)
        if self._path.exists():
            raise BrokenSeal
        with self._vault.exclusively():
            if not self._path.exists():
                PersonKeys.create(self._path, key, (), 0)
        return PersonKeys.read(self._path, key)
