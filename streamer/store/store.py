"""Voiceprints on disk: SQLite, each embedding sealed with AES-GCM.

What is durable: when :meth:`Store.add` returns, the enrolment outlives a kill -9 and a power
cut (write-ahead log, ``synchronous=FULL``); one that did not return is not there at all.

What is secret: the embeddings, the only thing that could identify a voice. The seal of each
covers whom it belongs to, so that rows cannot be exchanged, within a store or between two.
Names, times and consents are readable for whoever can read the file, whose mode is 0600.

What is gone: a deleted voiceprint is overwritten in the database and in its log before
:meth:`Store.delete` returns. Copies that a file system or a backup keeps are out of reach.
"""

from __future__ import annotations

import base64
import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from engine.scoring.voiceprints import Prototype, Voiceprint
from streamer.store.database import connect, explained, prepare, roll_back, truncate_log
from streamer.store.errors import BadName, StoreError
from streamer.store.profile import Consent, Profile, clean_name
from streamer.store.seal import Seal
from streamer.store.tables import Tables, check_model, unknown

EXPORT_FORMAT = 1
BUSY_S = 5.0  # another process may be writing for as long as an enrolment takes to be synced


class Store:
    """The enrolled voices. Any thread may call it; calls wait for one another and for the disk.

    Every method may raise :class:`StoreError`: the disk is full, the file damaged, another
    process holds it.
    """

    def __init__(self, path: Path, database: sqlite3.Connection, seal: Seal) -> None:
        """For :meth:`open`, which is how a store is made."""
        self._path = path
        self._database = database
        self._tables = Tables(database, seal)
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: Path, key: bytes, *, busy_s: float = BUSY_S) -> Store:
        """The store at ``path``, made if there is none; ``key`` has 32 bytes.

        Waits up to ``busy_s`` seconds for other processes, here and later. Raises
        :class:`StoreError` for a wrong key, a damaged or foreign file, or a folder that cannot
        be written.
        """
        with explained(path):
            database = connect(path, busy_s)
            try:
                return cls(path, database, prepare(database, key, path))
            except BaseException:
                database.close()
                raise

    def close(self) -> None:
        """Close the file; may be called again."""
        with self._lock:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def version(self) -> int:
        """A number that grows with every change of content, by whichever process."""
        with self._reading():
            return self._tables.version()

    def add(
        self,
        name: str,
        prototypes: Sequence[Prototype],
        *,
        consent: Consent,
        model_name: str,
        model_sha256: str,
        ttl_s: float | None,
        now: float,
        extend: bool = False,
    ) -> Profile:
        """Enrol ``name``, or with ``extend`` give somebody enrolled more prototypes.

        It is on the disk when this returns. ``ttl_s`` counts from ``now`` (seconds since 1970);
        None keeps a new voiceprint for ever, and leaves the end of an extended one as it is.
        Raises :class:`BadName`, :class:`NameTaken`, and when extending :class:`UnknownSpeaker`
        or :class:`OtherModel`; ``ValueError`` for embeddings that are not finite vectors.
        """
        name = clean_name(name)
        _check(prototypes)
        ends = None if ttl_s is None else now + ttl_s
        with self._lock:
            self.purge(now)  # a name whose time has run out is free again
            with self._writing():
                if extend:
                    row = self._tables.extend(name, model_sha256, ends)
                else:
                    row = self._tables.create(name, now, ends, model_name, model_sha256)
                self._tables.insert(row, name, prototypes, model_sha256, consent, now)
            return self.profile(name, now)

    def profiles(self, now: float) -> list[Profile]:
        """Everybody enrolled whose time has not run out, by name."""
        with self._reading():
            return self._tables.profiles(None, now)

    def profile(self, name: str, now: float) -> Profile:
        """One of :meth:`profiles`. Raises :class:`UnknownSpeaker`."""
        with self._reading():
            found = self._tables.profiles(_known(name), now)
        if not found:
            raise unknown(name)
        return found[0]

    def voiceprints(
        self, model_sha256: str, now: float, names: Sequence[str] | None = None
    ) -> dict[str, Voiceprint]:
        """Voiceprints by name, made with the model of that sha256: of ``names``, or of everybody.

        Raises :class:`UnknownSpeaker` for a name that is not enrolled and :class:`OtherModel`
        for one that must be enrolled again; without names such people are left out.
        """
        with self._reading():
            if names is None:
                rows = [
                    r for r in self._tables.rows(None, now) if r["model_sha256"] == model_sha256
                ]
                return self._tables.voiceprints(rows)
            prints: dict[str, Voiceprint] = {}
            for name in names:
                rows = self._tables.rows(_known(name), now)
                if not rows:
                    raise unknown(name)
                check_model(rows[0], model_sha256)
                prints |= self._tables.voiceprints(rows)
            return prints

    def export(self, name: str, now: float) -> dict[str, Any]:
        """Everything kept of a person, ready for JSON. Raises :class:`UnknownSpeaker`.

        Embeddings are base64 of little-endian float32.
        """
        with self._reading():
            profile, rows = self.profile(name, now), self._tables.rows(_known(name), now)
            prototypes = self._tables.voiceprints(rows)[profile.name].prototypes
        return {
            "format": EXPORT_FORMAT,
            "name": profile.name,
            "created_at": profile.created_at,
            "expires_at": profile.expires_at,
            "model": {"name": profile.model_name, "sha256": profile.model_sha256},
            "prototypes": [_exported(*pair) for pair in zip(rows, prototypes, strict=True)],
        }

    def delete(self, name: str) -> None:
        """Delete a person for good: nothing of them is in the file when this returns.

        Raises :class:`UnknownSpeaker`, and :class:`StoreError` when the person is deleted but
        another process holds on to what was there.
        """
        with self._lock:
            with self._writing():
                if not self._tables.delete(_known(name)):
                    raise unknown(name)
            self._wipe()

    def purge(self, now: float) -> int:
        """Delete for good whoever's time has run out; how many they were."""
        with self._lock:
            with self._writing():
                gone = self._tables.delete_expired(now)
            if gone:
                self._wipe()
            return gone

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """One moment of the store, whatever other processes do meanwhile."""
        with self._transaction("BEGIN"):
            yield

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """All of it or nothing; counts :attr:`version` up when something changed."""
        with self._transaction("BEGIN IMMEDIATE"):
            before = self._database.total_changes
            yield
            if self._database.total_changes != before:
                self._tables.count_up()

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with self._lock, explained(self._path):
            if self._database.in_transaction:  # part of a larger one
                yield
                return
            self._database.execute(begin)
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                roll_back(self._database)
                raise

    def _wipe(self) -> None:
        """Overwrite in the file what was deleted, and drop the log that still has it."""
        with explained(self._path):
            if not truncate_log(self._database):
                raise StoreError(
                    f"deleted, but another program still reads the store {self._path}: its copy is"
                    " wiped when that ends and the store is opened again"
                )


def _check(prototypes: Sequence[Prototype]) -> None:
    if not prototypes:
        raise ValueError("an enrolment needs at least one prototype")
    for prototype in prototypes:
        embedding = prototype.embedding
        if embedding.ndim != 1 or not embedding.size or not np.all(np.isfinite(embedding)):
            raise ValueError(f"an embedding is a finite vector, got shape {embedding.shape}")


def _known(name: str) -> str:
    """``name`` as the store writes it."""
    try:
        return clean_name(name)
    except BadName as error:
        raise unknown(name) from error


def _exported(row: sqlite3.Row, prototype: Prototype) -> dict[str, Any]:
    return {
        "added_at": row["added_at"],
        "net_speech_s": prototype.speech_s,
        "consent": {"text_version": row["consent_version"], "given_at": row["consent_at"]},
        "dimensions": len(prototype.embedding),
        "embedding": base64.b64encode(prototype.embedding.astype("<f4").tobytes()).decode(),
    }
