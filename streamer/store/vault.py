"""Database, person keys and the folder's lock together: one moment to read, one change at a time.

The database says by `keys` which file of person keys it belongs to, so that both are replaced
at one moment, that of a commit: `streamer.store.replacement`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streamer.store.database import explained, roll_back, shorten_log
from streamer.store.errors import Inconsistent, WrongKey
from streamer.store.folder_lock import FolderLock
from streamer.store.keys import KEY_FILE, PERSON_KEYS_FILE, KeyFileError, read_key
from streamer.store.people import People
from streamer.store.person_keys import PersonKeys, file_id, is_whole
from streamer.store.seal import BrokenSeal
from streamer.store.shred import replace_with, shred

NEXT = ".next"  # a file that takes the place of the one without it
PAUSE_S = 0.02  # between two looks while another process replaces the keys
TRIES = 50


class Vault:
    """An open store. Any thread may use it; each waits for the others."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, key: bytes, busy_s: float
    ) -> None:
        self.path, self.database, self.key = path, connection, key
        self.key_path = path.with_name(PERSON_KEYS_FILE)
        self.next_path = path.with_name(PERSON_KEYS_FILE + NEXT)
        self._fitted = False  # the key has opened the person keys before
        self.lock = threading.RLock()
        self._folder = FolderLock(path.parent, busy_s)

    @contextlib.contextmanager
    def reading(self) -> Iterator[People]:
        """One moment of the store, whatever other processes do meanwhile."""
        with self.lock, explained(self.path):
            for _ in range(TRIES):
                with self.transaction("BEGIN"):
                    if (found := self.keys()) is not None:
                        yield self.people(found)
                        return
                time.sleep(PAUSE_S)  # they are being replaced
            raise self.apart()

    @contextlib.contextmanager
    def writing(self) -> Iterator[People]:
        """All of it or nothing. Not within another."""
        with self.exclusively():
            people = self.people(self.current_keys())
            try:
                with self.transaction("BEGIN IMMEDIATE"):
                    before = self.database.total_changes
                    yield people
                    if self.database.total_changes != before:
                        self.note_change(people.keys)
            except BaseException:
                people.give_up()
                raise
            people.confirm()
            shorten_log(self.database)

    @contextlib.contextmanager
    def exclusively(self) -> Iterator[None]:
        """Nobody else writes, in whichever process."""
        with self.lock, explained(self.path), self._folder.held():
            yield

    @contextlib.contextmanager
    def transaction(self, begin: str) -> Iterator[None]:
        """Several statements as one; within another one, a part of that."""
        if self.database.in_transaction:
            yield
            return
        self.database.execute(begin)
        try:
            yield
            self.database.execute("COMMIT")
        except BaseException:
            roll_back(self.database)
            raise

    def about(self, name: str) -> Any:
        """What the database says of itself."""
        row = self.database.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def say(self, name: str, value: Any) -> None:
        """Have the database say so of itself, within a transaction."""
        self.database.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))

    def note_change(self, keys: PersonKeys) -> None:
        """Count the changes, and remember up to which one of the keys the database knows."""
        self.say("version", self.about("version") + 1)
        self.say("generation", keys.generation)

    def keys(self) -> PersonKeys | None:
        """The person keys that the database belongs to, None when they are not there."""
        wanted = self.about("keys")
        for path in (self.key_path, self.next_path):
            with contextlib.suppress(FileNotFoundError):
                content = path.read_bytes()
                if path == self.next_path and not is_whole(content):
                    return None  # it is being written, or its writer was killed
                if file_id(content, path) == wanted:
                    return self.opened(path, content)
        return None

    def current_keys(self) -> PersonKeys:
        """The person keys, to be changed. The caller has the lock.

        The database is not looked at unless somebody was interrupted while replacing them: a
        key can be destroyed whatever has become of the database.
        """
        if self.next_path.exists():
            self.finish_replacement()
        if not self.key_path.exists():
            raise self.apart()
        return self.opened(self.key_path, self.key_path.read_bytes())

    def opened(self, path: Path, content: bytes) -> PersonKeys:
        """A file of person keys, by the store's key, also when that was rotated meanwhile.

        Raises :class:`StoreError` for a wrong key.
        """
        for key in self._candidates():
            with contextlib.suppress(BrokenSeal):
                found = PersonKeys(path, content, key)
                self.key, self._fitted = key, True
                return found
        raise WrongKey(
            f"this key is not the one the store {self.path} was made with: restore that key (the"
            f" file `{KEY_FILE}` beside it, or VOXWATCH_KEY)"
        )

    def _candidates(self) -> Iterator[bytes]:
        """Keys to try: the one that was given, and those that a rotation put in its place.

        The next one comes first: it may be put in the place of the other between two looks.
        """
        yield self.key
        for name in (KEY_FILE + NEXT, KEY_FILE) if self._fitted else (KEY_FILE + NEXT,):
            with contextlib.suppress(KeyFileError, OSError):
                yield read_key(self.path.with_name(name))

    def finish_replacement(self) -> None:
        """Put the keys that the database belongs to in their place, and shred all others.

        The caller has the lock. Raises :class:`Inconsistent`.
        """
        wanted, there = self.about("keys"), os.listdir(self.path.parent)
        if self.next_path.name in there:
            content = self.next_path.read_bytes()
            if is_whole(content) and file_id(content, self.next_path) == wanted:
                replace_with(self.next_path, self.key_path)
            else:
                shred(self.next_path)
        if self.key_path.name not in there and not self.key_path.exists():
            raise self.apart()
        for name in there:
            if name.startswith((PERSON_KEYS_FILE, KEY_FILE)) and name.endswith(".old"):
                shred(self.path.with_name(name))

    def finish_rotation(self) -> None:
        """Put the store's key that opens the person keys in its place, and shred the other."""
        path = self.path.with_name(KEY_FILE)
        fresh = path.with_name(KEY_FILE + NEXT)
        if not fresh.exists():
            return
        if self.keys() is not None and self._has(fresh):
            replace_with(fresh, path)
        else:
            shred(fresh)

    def _has(self, path: Path) -> bool:
        """Whether this file has the store's key, and all of it: its writer may have been killed."""
        with contextlib.suppress(KeyFileError):
            return read_key(path) == self.key
        return False

    def apart(self) -> Inconsistent:
        """The error where the file of person keys is lacking or another one."""
        if not self.key_path.exists():
            return Inconsistent(
                f"{self.path} is there but the keys of its people, {self.key_path}, are not: copy"
                " both, or restore a backup; without them no voiceprint can be read"
            )
        return Inconsistent(
            f"{self.key_path} belongs to another copy of the store than {self.path}: copy both"
            " together, or restore a backup"
        )

    def people(self, keys: PersonKeys | None = None) -> People:
        """The rows, with the person keys that they belong to."""
        if keys is None and (keys := self.keys()) is None:
            raise self.apart()
        return People(self.database, keys, self.about("store_id"))
