"""Database, person keys and the folder's lock together: one moment to read, one change at a time.

The database says by `keys` which file of person keys it belongs to, so that both are replaced
at one moment, that of a commit: `streamer.store.replacement`. The file lies in the data folder
wherever the database is: what a database deletes is not overwritten in its place.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, select, update

from streamer.database import explained, reading, shorten_log, shown, writing
from streamer.store.errors import Inconsistent, StoreError, WrongKey
from streamer.store.folder_lock import FolderLock
from streamer.store.keys import KEY_FILE, PERSON_KEYS_FILE, KeyFileError, read_key
from streamer.store.people import People
from streamer.store.person_keys import PersonKeys, file_id, is_whole
from streamer.store.seal import BrokenSeal
from streamer.store.shred import read_live, replace_with, shred
from streamer.store.tables import STORE

WHAT = "store of voiceprints"
NEXT = ".next"  # a file that takes the place of the one without it
PAUSE_S = 0.02  # between two looks while another process replaces the keys
TRIES = 50


class Vault:
    """An open store. Any thread may use it; each waits for the others."""

    def __init__(self, folder: Path, engine: Engine, key: bytes, lock: FolderLock) -> None:
        self.folder, self.engine, self.key = folder, engine, key
        self.where = shown(engine)  # the database, as people may read it
        self.key_path = folder / PERSON_KEYS_FILE
        self.next_path = folder / (PERSON_KEYS_FILE + NEXT)
        self._fitted = False  # the key has opened the person keys before
        self._lock = threading.RLock()
        self._folder_lock = lock
        self._transaction: Connection | None = None
        self._closed = False

    def close(self) -> None:
        """Close all connections; may be called again."""
        with self._lock:
            self._closed = True
            self.engine.dispose()

    @contextlib.contextmanager
    def reading(self) -> Iterator[People]:
        """One moment of the store, whatever other processes do meanwhile."""
        with self._lock, self.explained():
            for _ in range(TRIES):
                with self.transaction(changing=False):
                    if (found := self.keys()) is not None:
                        yield self.people(found)
                        return
                time.sleep(PAUSE_S)  # they are being replaced
            raise self.apart()

    @contextlib.contextmanager
    def writing(self) -> Iterator[People]:
        """All of it or nothing. Not within another."""
        with self.exclusively():
            keys = self.current_keys()
            people: People | None = None
            try:
                with self.transaction():
                    if keys.generation < self.about(lock=True).generation:
                        raise self.older()
                    people = self.people(keys)
                    yield people
                    self.note_change(keys)
            except BaseException:
                if people is not None:
                    people.give_up()
                raise
            people.confirm()
            shorten_log(self.engine)

    @contextlib.contextmanager
    def exclusively(self) -> Iterator[None]:
        """Nobody else writes, in whichever process."""
        with self._lock, self.explained(), self._folder_lock.held():
            yield

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Errors as one line of :class:`StoreError`."""
        with explained(self.engine, WHAT, StoreError, files=self.folder):
            yield

    @contextlib.contextmanager
    def transaction(self, *, changing: bool = True) -> Iterator[Connection]:
        """Several statements as one; within another one, a part of that."""
        if self._transaction is not None:
            yield self._transaction
            return
        if self._closed:
            raise StoreError(f"the {WHAT} {self.where} is closed: open it again")
        with (writing if changing else reading)(self.engine) as self._transaction:
            try:
                yield self._transaction
            finally:
                self._transaction = None

    def about(self, *, lock: bool = False) -> Row[Any]:
        """What the database says of itself; with ``lock`` nobody else changes it meanwhile."""
        query = select(STORE).with_for_update() if lock else select(STORE)
        with self.transaction(changing=False) as database:
            return database.execute(query).one()

    def say(self, **facts: Any) -> None:
        """Have the database say so of itself, within a transaction."""
        with self.transaction() as database:
            database.execute(update(STORE).values(facts))

    def note_change(self, keys: PersonKeys) -> None:
        """Count the changes, and remember up to which one of the keys the database knows."""
        self.say(version=STORE.c.version + 1, generation=keys.generation)

    def keys(self) -> PersonKeys | None:
        """The person keys that the database belongs to, None when they are not there."""
        wanted = self.about().keys
        for path in (self.key_path, self.next_path):
            with contextlib.suppress(FileNotFoundError):
                content = read_live(path)
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
            f"this key is not the one the store {self.where} was made with: restore that key (the"
            f" file `{KEY_FILE}` beside {self.key_path}, or VOXWATCH_KEY)"
        )

    def _candidates(self) -> Iterator[bytes]:
        """Keys to try: the one that was given, and those that a rotation put in its place.

        The next one comes first: it may be put in the place of the other between two looks.
        """
        yield self.key
        for name in (KEY_FILE + NEXT, KEY_FILE) if self._fitted else (KEY_FILE + NEXT,):
            with contextlib.suppress(KeyFileError, OSError):
                yield read_key(self.folder / name)

    def finish_replacement(self) -> None:
        """Put the keys that the database belongs to in their place, and shred all others.

        The caller has the lock. Raises :class:`Inconsistent`.
        """
        wanted, there = self.about().keys, os.listdir(self.folder)
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
                shred(self.folder / name)

    def finish_rotation(self) -> None:
        """Put the store's key that opens the person keys in its place, and shred the other."""
        path, fresh = self.folder / KEY_FILE, self.folder / (KEY_FILE + NEXT)
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
                f"{self.where} is there but the keys of its people, {self.key_path}, are not: copy"
                " both, or restore a backup; without them no voiceprint can be read"
            )
        return Inconsistent(
            f"{self.key_path} belongs to another copy of the store than {self.where}: copy both"
            " together, or restore a backup"
        )

    def older(self) -> Inconsistent:
        """The error where the file of person keys lacks changes that the database knows of."""
        return Inconsistent(
            f"{self.key_path} is older than {self.where}: copy both of one moment, or restore a"
            " backup; `voxwatch keys repair` gives up those whose keys it lacks"
        )

    def people(self, keys: PersonKeys | None = None) -> People:
        """The rows in the transaction, with the person keys that they belong to."""
        assert self._transaction is not None, "rows are read and written in a transaction"
        if keys is None and (keys := self.keys()) is None:
            raise self.apart()
        return People(self._transaction, keys, self.about().store_id)
