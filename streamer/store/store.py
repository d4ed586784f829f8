"""Voiceprints at rest, in SQLite or PostgreSQL: each person's encrypted with a key of their own.

What is durable: when :meth:`Store.add` returns, the enrolment outlives a kill -9 and a power
cut (of the server of PostgreSQL, too); one that did not return is not there at all.

What is secret: names, voiceprints, dates and consents. The seal of each row covers whom it belongs
to, so that rows cannot be exchanged, within a store or between two. Readable for whoever can read
the files, whose mode is 0600, are the number of people and the audit log, which names nobody.

What is gone: a deleted person's key is overwritten in its place before :meth:`Store.delete`
returns, and with it all that was encrypted with it, wherever copies of the rows lie:
`streamer.store.person_keys`. Backups that were made before have the key, too.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from engine.scoring.voiceprints import Prototype, Voiceprint
from streamer.database import BUSY_S, check_whole
from streamer.store import audit
from streamer.store.errors import BadName, StoreError, WrongKey
from streamer.store.keys import load_key
from streamer.store.opening import open_vault
from streamer.store.people import Enrolment, People, Person, Record, unknown
from streamer.store.profile import Consent, Profile, clean_name
from streamer.store.store_clock import StoreClock
from streamer.store.vault import WHAT, Vault

log = logging.getLogger("voxwatch.store")


class Store:
    """The enrolled voices. Any thread may call it; calls wait for one another and for the disk.

    Every method may raise :class:`StoreError`: the disk is full, the file damaged, another
    process holds it. ``who`` is for the audit log; without it, it is this machine's user.
    """

    def __init__(self, vault: Vault) -> None:
        """For :meth:`open`, which is how a store is made."""
        self.vault = vault
        self.clock = StoreClock(vault)

    @classmethod
    def open(
        cls,
        folder: Path,
        key: bytes,
        *,
        database: str | None = None,
        busy_s: float = BUSY_S,
        repair: bool = False,
    ) -> Store:
        """The store of a data folder, made if there is none; ``key`` has 32 bytes.

        ``database`` is the URL of PostgreSQL; None means SQLite in ``folder``, which holds the
        keys in any case. Waits up to ``busy_s`` seconds for other processes, here and later.
        Raises :class:`StoreError` for a wrong key, a damaged or foreign database, or a folder
        that cannot be written; :class:`~streamer.store.errors.Inconsistent` where files are
        lacking or not of one moment, unless ``repair`` says to give up whom that concerns.
        """
        return cls(open_vault(folder, database, key, busy_s, repair=repair))

    @classmethod
    def in_folder(
        cls, folder: Path, database: str | None, env: Mapping[str, str], *, repair: bool = False
    ) -> Store:
        """The same with the key of the folder: see `streamer.store.keys`.

        Raises :class:`~streamer.store.keys.KeyFileError` as well.
        """
        key = load_key(folder, env=env)
        while True:
            try:
                return cls.open(folder, key, database=database, repair=repair)
            except WrongKey:
                tried, key = key, load_key(folder, env=env)
                if key == tried:
                    raise
                # It was rotated meanwhile: try again with the new one.

    def close(self) -> None:
        """Close the database; may be called again."""
        self.vault.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def version(self) -> int:
        """A number that grows with every change of content, by whichever process."""
        with self.vault.reading() as people:
            return int(self.vault.about().version) + people.keys.generation

    def check(self) -> None:
        """Raise :class:`StoreError` where the files are damaged or do not fit together."""
        with self.vault.explained():
            check_whole(self.vault.engine, WHAT)
        with self.vault.reading() as people:
            if people.keys.damaged():
                raise StoreError(f"{self.vault.key_path} is damaged: restore a backup")

    def now(self) -> float:
        """The time that is believed, in seconds since 1970: see `streamer.store.clock`."""
        return self.clock.now()

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
        who: str | None = None,
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
        enrolments = [Enrolment.of(one, consent, now) for one in prototypes]
        self.purge(now)  # a name whose time has run out is free again
        with self._changing() as people:
            if extend:
                number = people.extend(name, model_sha256, ends, enrolments)
            else:
                record = Record(
                    name=name,
                    created_at=now,
                    expires_at=ends,
                    model_name=model_name,
                    model_sha256=model_sha256,
                )
                number = people.enrol(record, enrolments)
            act = "extend" if extend else "enrol"
            audit.write(people.database, audit.Entry(now, _by(who), act, number))
        return self.profile(name, now)

    def profiles(self, now: float) -> list[Profile]:
        """Everybody enrolled whose time has not run out, by name."""
        with self.vault.reading() as people:
            return [person.profile() for person in people.all() if person.alive(now)]

    def profile(self, name: str, now: float) -> Profile:
        """One of :meth:`profiles`. Raises :class:`UnknownSpeaker`."""
        with self.vault.reading() as people:
            return _found(people, name, now).profile()

    def voiceprints(
        self, model_sha256: str, now: float, names: Sequence[str] | None = None
    ) -> dict[str, Voiceprint]:
        """Voiceprints by name, made with the model of that sha256: of ``names``, or of everybody.

        Raises :class:`UnknownSpeaker` for a name that is not enrolled and :class:`OtherModel`
        for one that must be enrolled again; without names such people are left out.
        """
        with self.vault.reading() as people:
            if names is None:
                wanted = [
                    person
                    for person in people.all()
                    if person.alive(now) and person.record.model_sha256 == model_sha256
                ]
            else:
                wanted = [_found(people, name, now) for name in names]
            for person in wanted:
                person.check_model(model_sha256)
            return {person.record.name: person.voiceprint() for person in wanted}

    def export(self, name: str, now: float, *, who: str | None = None) -> dict[str, Any]:
        """Everything kept of a person, ready for JSON. Raises :class:`UnknownSpeaker`.

        Embeddings are base64 of little-endian float32.
        """
        with self._changing() as people:
            person = _found(people, name, now)
            exported = person.exported()
            audit.write(people.database, audit.Entry(now, _by(who), "export", person.number))
        return exported

    def delete(self, name: str, *, who: str | None = None) -> None:
        """Delete a person for good: nothing of them can be read when this returns.

        Their key is overwritten in its place, which needs no room on the disk and waits for no
        reader; where their rows cannot be removed just now, those go later. Raises
        :class:`UnknownSpeaker`.
        """
        now = self.now()
        with self.vault.exclusively():
            keys = self.vault.current_keys()
            person = keys.find(_known(name))
            if person is None:
                raise unknown(name)
            keys.delete(audit.Entry(now, _by(who), "delete", person))
            self._remove_rows()

    def purge(self, now: float) -> int:
        """Delete for good whoever's time has run out; how many they were."""
        if not self._expired(now):
            return 0
        with self.vault.exclusively():
            gone = self._expired(now)  # others may have been at it
            keys = self.vault.current_keys()
            for person in gone:
                keys.delete(audit.Entry(now, audit.EXPIRY, "delete", person))
            self._remove_rows()
            return len(gone)

    def note(self, entry: audit.Entry) -> None:
        """Write to the audit log what is done with the store from without."""
        with self._changing() as people:
            audit.write(people.database, entry)

    def shorten_audit(self, before: float, now: float) -> int:
        """Remove what the audit log has of before then, but for a count; how many acts it was."""
        with self.vault.exclusively():
            with self.vault.reading() as people:
                if not audit.is_due(people.database, before):
                    return 0  # and nobody reads the store again for nothing
            with self._changing() as people:
                return audit.shorten(people.database, before, now)

    def acts(self) -> list[audit.Told]:
        """Who did what to whom, oldest first."""
        with self.vault.reading() as people:
            names = {person.number: person.record.name for person in people.all()}
            return audit.read(people.database, names)

    def _expired(self, now: float) -> list[bytes]:
        with self.vault.reading() as people:
            return [person.number for person in people.all() if not person.alive(now)]

    def _remove_rows(self) -> None:
        """Remove the rows of those whose keys are destroyed; where that fails, another time."""
        try:
            with self._changing():
                pass  # which does it before anything else
        except StoreError as error:
            log.warning("deleted, but what cannot be read any more is still there: %s", error)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[People]:
        """All of it or nothing, after the rows of those who were deleted."""
        with self.vault.writing() as people:
            people.remove_residues()
            yield people


def _check(prototypes: Sequence[Prototype]) -> None:
    if not prototypes:
        raise ValueError("an enrolment needs at least one prototype")
    for prototype in prototypes:
        embedding = prototype.embedding
        if embedding.ndim != 1 or not embedding.size or not np.all(np.isfinite(embedding)):
            raise ValueError(f"an embedding is a finite vector, got shape {embedding.shape}")


def _by(who: str | None) -> str:
    return audit.local_user() if who is None else who


def _known(name: str) -> str:
    """``name`` as the store writes it."""
    try:
        return clean_name(name)
    except BadName as error:
        raise unknown(name) from error


def _found(people: People, name: str, now: float) -> Person:
    """Raises :class:`UnknownSpeaker`."""
    person = people.find(_known(name))
    if person is None or not person.alive(now):
        raise unknown(name)
    return person
