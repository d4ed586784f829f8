"""The rows of people: what is written and read of a person and their enrolments.

All of a row but the person's random number is sealed with the person's own key. A row whose key
is destroyed is a residue: nobody is told of it, and it goes when the store is next written.

No locks and no transactions: `streamer.store.vault` has them.
"""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import Connection, Row, delete, insert, select, update

from engine.scoring.voiceprints import Prototype, Voiceprint
from streamer.store import audit
from streamer.store.errors import NameTaken, OtherModel, StoreError, UnknownSpeaker
from streamer.store.person_keys import PersonKey, PersonKeys, new_person
from streamer.store.profile import NAME_LENGTH, Consent, Profile
from streamer.store.seal import BrokenSeal, Seal
from streamer.store.tables import ENROLMENTS, GONE, PEOPLE

EXPORT_FORMAT = 1


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A person. Times in seconds since 1970."""

    name: str
    created_at: float
    expires_at: float | None
    model_name: str
    model_sha256: str


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """One prototype of a person: little-endian float32, with the consent that it rests on."""

    added_at: float
    speech_s: float
    consent_version: str
    consent_at: float
    embedding: bytes

    @classmethod
    def of(cls, prototype: Prototype, consent: Consent, now: float) -> Enrolment:
        """A prototype that is added now."""
        return cls(
            added_at=now,
            speech_s=float(prototype.speech_s),
            consent_version=consent.text_version,
            consent_at=consent.given_at,
            embedding=prototype.embedding.astype("<f4").tobytes(),
        )

    def exported(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "added_at": self.added_at,
            "net_speech_s": self.speech_s,
            "consent": {"text_version": self.consent_version, "given_at": self.consent_at},
            "dimensions": len(self.embedding) // 4,
            "embedding": base64.b64encode(self.embedding).decode(),
        }


@dataclass(frozen=True, slots=True)
class Person:
    """A person with their number and all their enrolments that can be read.

    ``damaged`` says that there are others: such a person can be listed and deleted, no more.
    """

    number: bytes
    record: Record
    enrolments: tuple[Enrolment, ...]
    damaged: bool = False

    def alive(self, now: float) -> bool:
        """Whether their time has not run out."""
        return self.record.expires_at is None or self.record.expires_at > now

    def profile(self) -> Profile:
        """What is told of them."""
        record = self.record
        consents = [Consent(one.consent_version, one.consent_at) for one in self.enrolments]
        return Profile(
            record.name,
            record.created_at,
            record.expires_at,
            len(self.enrolments),
            sum(one.speech_s for one in self.enrolments),
            record.model_sha256,
            record.model_name,
            max(consents, key=lambda one: one.given_at, default=Consent("", record.created_at)),
            self.number.hex(),
        )

    def exported(self) -> dict[str, Any]:
        """All that is kept of them, ready for JSON. Raises :class:`StoreError` where damaged."""
        self.check_whole()
        record = self.record
        return {
            "format": EXPORT_FORMAT,
            "name": record.name,
            "created_at": record.created_at,
            "expires_at": record.expires_at,
            "model": {"name": record.model_name, "sha256": record.model_sha256},
            "prototypes": [one.exported() for one in self.enrolments],
        }

    def voiceprint(self) -> Voiceprint:
        """Their prototypes. Raises :class:`StoreError` for one that was damaged."""
        self.check_whole()
        embeddings = (np.frombuffer(e.embedding, "<f4").astype(np.float32) for e in self.enrolments)
        pairs = zip(embeddings, self.enrolments, strict=True)
        return Voiceprint(
            self.record.name, tuple(Prototype(embedding, e.speech_s) for embedding, e in pairs)
        )

    def check_whole(self) -> None:
        """Raise :class:`StoreError` where some of it cannot be read."""
        if self.damaged or not self.enrolments:
            raise StoreError(
                f"the voiceprint of {self.record.name!r} was damaged or changed on the disk: delete"
                " it and enrol again"
            )

    def check_model(self, model_sha256: str) -> None:
        """Raise :class:`OtherModel` when they were enrolled with another one."""
        if self.record.model_sha256 != model_sha256:
            raise OtherModel(
                f"{self.record.name!r} was enrolled with another model ({self.record.model_name}):"
                " delete the profile and enrol again, or use that model"
            )


class People:
    """Sealed people, in a transaction."""

    def __init__(self, database: Connection, keys: PersonKeys, store_id: bytes) -> None:
        self.database, self.keys, self._store_id = database, keys, store_id
        self.added: list[bytes] = []  # their keys are pending until the rows are on the disk

    def numbers(self) -> frozenset[bytes]:
        """Everybody who has rows, with a key or without."""
        return frozenset(self.database.execute(select(PEOPLE.c.person)).scalars())

    def all(self) -> list[Person]:
        """Everybody who has a key, by name."""
        sealed: dict[bytes, list[Row[Any]]] = {}
        in_order = select(ENROLMENTS).order_by(ENROLMENTS.c.person, ENROLMENTS.c.number)
        for row in self.database.execute(in_order):
            sealed.setdefault(row.person, []).append(row)
        people = (
            self._opened(row, sealed.get(row.person, ()))
            for row in self.database.execute(select(PEOPLE))
        )
        return sorted((p for p in people if p is not None), key=lambda p: p.record.name)

    def find(self, name: str) -> Person | None:
        """The person of that name, if there is one."""
        number = self.keys.find(name)
        if number is None:
            return None
        row = self.database.execute(select(PEOPLE).where(PEOPLE.c.person == number)).first()
        theirs = select(ENROLMENTS).where(ENROLMENTS.c.person == number)
        enrolments = self.database.execute(theirs.order_by(ENROLMENTS.c.number))
        return None if row is None else self._opened(row, enrolments.all())

    def enrol(self, record: Record, enrolments: Iterable[Enrolment]) -> bytes:
        """Give a new person a key and rows; their number. Raises :class:`NameTaken`."""
        if self.find(record.name) is not None:
            raise NameTaken(
                f"{record.name!r} is enrolled already: choose another name, delete that profile"
                " first, or add to it"
            )
        entry = new_person(record.name)
        self.keys.add(entry)
        self.added.append(entry.person)
        self.insert(entry, record, enrolments)
        return entry.person

    def insert(self, entry: PersonKey, record: Record, enrolments: Iterable[Enrolment]) -> None:
        """The rows of a person who has a key already."""
        seal = self._seal(entry.key)
        sealed = seal.close(msgspec.msgpack.encode(record), entry.person)
        self.database.execute(insert(PEOPLE).values(person=entry.person, sealed=sealed))
        self._insert(seal, entry.person, 1, enrolments)

    def extend(
        self, name: str, model_sha256: str, expires_at: float | None, more: Iterable[Enrolment]
    ) -> bytes:
        """Add enrolments; None leaves the end of the person's time as it is. Their number.

        Raises :class:`UnknownSpeaker`, :class:`OtherModel`.
        """
        if (person := self.find(name)) is None:
            raise unknown(name)
        person.check_model(model_sha256)
        person.check_whole()
        key = self.keys.key_of(person.number)
        assert key is not None
        seal = self._seal(key)
        if expires_at is not None:
            record = msgspec.structs.replace(person.record, expires_at=expires_at)
            sealed = seal.close(msgspec.msgpack.encode(record), person.number)
            theirs = PEOPLE.c.person == person.number
            self.database.execute(update(PEOPLE).where(theirs).values(sealed=sealed))
        self._insert(seal, person.number, len(person.enrolments) + 1, more)
        return person.number

    def remove_residues(self) -> None:
        """Remove the rows of those whose key is destroyed, and note that they are gone."""
        residues = self.numbers() - self.keys.people
        if not residues:
            return
        deletions, now = self.keys.deletions(), time.time()
        entries = [
            deletions.get(number) or audit.Entry(now, audit.FINISHED, "delete", number)
            for number in residues
        ]
        for entry in sorted(entries, key=lambda one: one.at):
            self.database.execute(delete(PEOPLE).where(PEOPLE.c.person == entry.person))
            audit.write(self.database, entry)
        self.note_gone(residues)

    def gone(self) -> frozenset[bytes]:
        """Those who were deleted, and whom no backup brings back."""
        return frozenset(self.database.execute(select(GONE.c.person)).scalars())

    def note_gone(self, people: frozenset[bytes]) -> None:
        """Add to them."""
        if new := people - self.gone():
            self.database.execute(insert(GONE), [{"person": person} for person in new])

    def confirm(self) -> None:
        """The rows of those who were added are on the disk: their keys are live."""
        with contextlib.suppress(OSError):  # or whoever opens the store next finds the rows
            for number in self.added:
                self.keys.confirm(number)

    def give_up(self) -> None:
        """Destroy the keys of those whose rows were not written after all."""
        with contextlib.suppress(OSError, StoreError):  # or whoever opens the store next does
            for number in self.added:
                self.keys.destroy(number)

    def _insert(
        self, seal: Seal, number: bytes, first: int, enrolments: Iterable[Enrolment]
    ) -> None:
        rows = [
            {
                "person": number,
                "number": index,
                "sealed": seal.close(msgspec.msgpack.encode(enrolment), number, index),
            }
            for index, enrolment in enumerate(enrolments, first)
        ]
        if rows:
            self.database.execute(insert(ENROLMENTS), rows)

    def _opened(self, row: Row[Any], enrolments: Iterable[Row[Any]]) -> Person | None:
        """The person of these rows, None for a residue. Raises :class:`StoreError`."""
        number: bytes = row.person
        try:
            key = self.keys.key_of(number)
            if key is None:
                return None
            seal = self._seal(key)
            record = msgspec.msgpack.decode(seal.open(row.sealed, number), type=Record)
        except BrokenSeal as error:
            raise StoreError(
                f"the store's person {number.hex()[:8]} was damaged or changed on the disk: restore"
                " a backup, or give them up with `voxwatch keys repair`"
            ) from error
        whole: list[Enrolment] = []
        for index, one in enumerate(enrolments, 1):
            try:
                data = seal.open(one.sealed, number, index if one.number == index else None)
            except BrokenSeal:
                return Person(number, record, tuple(whole), damaged=True)
            whole.append(msgspec.msgpack.decode(data, type=Enrolment))
        return Person(number, record, tuple(whole))

    def _seal(self, key: bytes) -> Seal:
        return Seal(key, self._store_id)


def unknown(name: str) -> UnknownSpeaker:
    """The error for a name that is not enrolled."""
    return UnknownSpeaker(f"{name[:NAME_LENGTH]!r} is not enrolled: check the name, or enrol first")
