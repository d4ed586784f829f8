"""The file of person keys: a key for each person, destroyed with the person.

What is kept of a person is encrypted with a random key of their own. These keys lie in one small
file of fixed slots, each wrapped by a key that follows from the store's. To delete a person is
to overwrite their slot in its place: it takes no room, waits for no reader, and leaves whatever
copies of their rows there are (in the database, its log, free blocks of the disk) unreadable for
good, also for whoever has the store's key. The slot holds a keyed hash of the name, too, by
which people are found: it goes with the key, so that no guess of a name can be confirmed later.
What the slot is overwritten with is who deleted the person and when, for the audit log, which may
lie in a database that takes no more at that moment.

A slot is pending until the rows of its person are on the disk, then live: a crash between the
two is told from a database that has lost people. Every change takes the next generation number.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import struct
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from streamer.store import audit
from streamer.store.errors import StoreError
from streamer.store.seal import KEY_BYTES, BrokenSeal, Seal, derive
from streamer.store.shred import read_live, write_new

ID_BYTES = 16
MAGIC = b"voxwatch"
FORMAT = 1
CHECK = b"person keys"
EMPTY, PENDING, LIVE, GONE = 0, 1, 2, 3
SLOT = np.dtype(
    [
        ("state", "<u4"),
        ("generation", "<u8"),
        ("person", f"V{ID_BYTES}"),
        ("name", "V32"),  # HMAC-SHA-256
        ("wrapped", "V60"),  # nonce, key, tag of AES-GCM
        ("rest", "V8"),
    ]
)
SLOT_BYTES = SLOT.itemsize  # 128: a slot never lies across two sectors of the disk
WHO_BYTES = 92
DELETED = struct.Struct(f"<IQ{ID_BYTES}sd{WHO_BYTES}s")  # as SLOT begins; when; by whom, in UTF-8
HEADER = struct.Struct(f"<8sI{ID_BYTES}s39s")  # magic, format, the file's id, a sealed text
GROWTH = 64  # slots that are added when all are taken: two blocks of most file systems


class PersonKey(NamedTuple):
    """A new slot's content."""

    person: bytes
    name: str
    key: bytes


class PersonKeys:
    """One reading of a file of person keys, and changes of it.

    Whoever changes it holds the folder's lock and has read it since.
    """

    def __init__(self, path: Path, content: bytes, key: bytes) -> None:
        """For :meth:`read`. Raises :class:`BrokenSeal` when ``key`` is not the store's."""
        self._path, self.file_id = path, file_id(content, path)
        self._wraps = Seal(derive(key, self.file_id, b"person keys"), self.file_id)
        self._names_key = derive(key, self.file_id, b"names")
        self._wraps.open(HEADER.unpack_from(content)[3], CHECK)
        self._header = content[:SLOT_BYTES]
        whole = len(content) // SLOT_BYTES * SLOT_BYTES
        self._slots = np.frombuffer(bytearray(content[SLOT_BYTES:whole]), SLOT)

    @classmethod
    def read(cls, path: Path, key: bytes) -> Self:
        """The file at ``path`` as it is now.

        Raises ``FileNotFoundError``, :class:`BrokenSeal` for another key, :class:`StoreError`
        for a file that is none.
        """
        return cls(path, read_live(path), key)

    @classmethod
    def create(cls, path: Path, key: bytes, people: Iterable[PersonKey], generation: int) -> bytes:
        """Write a file with these people, live; its id."""
        new_id = secrets.token_bytes(ID_BYTES)
        seal = Seal(derive(key, new_id, b"person keys"), new_id)
        header = HEADER.pack(MAGIC, FORMAT, new_id, seal.close(CHECK, CHECK))
        made = cls(path, header.ljust(SLOT_BYTES, b"\0"), key)
        slots = b"".join(made._slot(LIVE, generation, entry) for entry in people)
        empty = -(len(slots) // SLOT_BYTES) % GROWTH or GROWTH
        spare = struct.pack("<IQ", EMPTY, generation).ljust(SLOT_BYTES, b"\0") * empty
        write_new(path, header.ljust(SLOT_BYTES, b"\0") + slots + spare)
        return new_id

    def content(self) -> bytes:
        """The file as it was read."""
        return self._header + self._slots.tobytes()

    @property
    def generation(self) -> int:
        """The number of the last change."""
        return int(self._slots["generation"].max(initial=0))

    @cached_property
    def _rows(self) -> dict[bytes, int]:
        """Slots by person."""
        taken = np.flatnonzero(np.isin(self._slots["state"], (PENDING, LIVE)))
        return dict(zip(self._slots["person"][taken].tolist(), taken.tolist(), strict=True))

    @cached_property
    def _names(self) -> dict[bytes, bytes]:
        """People by the hash of their name."""
        return {self._slots["name"][row].tobytes(): person for person, row in self._rows.items()}

    @property
    def people(self) -> frozenset[bytes]:
        """Everybody who has a key."""
        return frozenset(self._rows)

    def with_state(self, state: int) -> frozenset[bytes]:
        """Everybody whose slot is in ``state``."""
        return frozenset(p for p, row in self._rows.items() if self._slots["state"][row] == state)

    def find(self, name: str) -> bytes | None:
        """The person of that name."""
        return self._names.get(self._hash(name))

    def key_of(self, person: bytes) -> bytes | None:
        """The person's key; None when it is destroyed. Raises :class:`BrokenSeal`."""
        row = self._rows.get(person)
        if row is None:
            return None
        slot = self._slots[row]
        return self._wraps.open(slot["wrapped"].tobytes(), person, slot["name"].tobytes())

    def damaged(self) -> list[int]:
        """Slots that hold neither a whole key nor none."""
        broken = np.flatnonzero(self._slots["state"] > GONE).tolist()
        for person, row in self._rows.items():
            try:
                self.key_of(person)
            except BrokenSeal:
                broken.append(row)
        return broken

    def add(self, entry: PersonKey) -> None:
        """Write a pending key; it is on the disk when this returns."""
        free = np.flatnonzero(np.isin(self._slots["state"], (EMPTY, GONE)))
        if not len(free):
            self._grow()
            free = np.flatnonzero(self._slots["state"] == EMPTY)
        # An empty one first: the others may still have to tell who deleted somebody.
        row = free[np.argmin(self._slots["state"][free])]
        self._write(int(row), self._slot(PENDING, self.generation + 1, entry))

    def confirm(self, person: bytes) -> None:
        """The person's rows are on the disk: the key is live."""
        row = self._rows[person]
        slot = self._slots[row].copy()
        slot["state"] = LIVE
        self._write(row, slot.tobytes())

    def delete(self, deletion: audit.Entry) -> None:
        """Destroy a person's key, and keep in its place who did it, and when."""
        assert deletion.person is not None
        who = deletion.who.encode()
        if len(who) > WHO_BYTES:  # cut in the middle: a token is told by the end
            who = who[: WHO_BYTES // 2] + who[-(WHO_BYTES // 2) :]
        slot = DELETED.pack(GONE, self.generation + 1, deletion.person, deletion.at, who)
        self._write(self._rows[deletion.person], slot)

    def deletions(self) -> dict[bytes, audit.Entry]:
        """What :meth:`delete` was given, by person, as long as nobody else has the slot."""
        found = {}
        for _, _, person, at, who in DELETED.iter_unpack(
            self._slots[self._slots["state"] == GONE].tobytes()
        ):
            text = who.rstrip(b"\0").decode(errors="ignore")  # a letter may have been cut
            found[person] = audit.Entry(at, text, "delete", person)
        return found

    def destroy(self, person: bytes) -> None:
        """Overwrite the person's key and name; gone from the disk when this returns."""
        self.clear(self._rows[person])

    def clear(self, row: int) -> None:
        """Overwrite a slot, whatever is in it."""
        head = struct.pack("<IQ", GONE, self.generation + 1)
        self._write(row, head + secrets.token_bytes(SLOT_BYTES - len(head)))

    def _hash(self, name: str) -> bytes:
        return hmac.digest(self._names_key, name.encode(), hashlib.sha256)

    def _slot(self, state: int, generation: int, entry: PersonKey) -> bytes:
        name = self._hash(entry.name)
        wrapped = self._wraps.close(entry.key, entry.person, name)
        head = struct.pack("<IQ", state, generation)
        return (head + entry.person + name + wrapped).ljust(SLOT_BYTES, b"\0")

    def _grow(self) -> None:
        empty = struct.pack("<IQ", EMPTY, 0).ljust(SLOT_BYTES, b"\0") * GROWTH
        self._put(SLOT_BYTES * (1 + len(self._slots)), empty)
        self._slots = np.concatenate([self._slots, np.frombuffer(empty, SLOT)])

    def _write(self, row: int, slot: bytes) -> None:
        self._put(SLOT_BYTES * (1 + row), slot)
        self._slots[row] = np.frombuffer(slot, SLOT)[0]
        self.__dict__.pop("_rows", None)
        self.__dict__.pop("_names", None)

    def _put(self, offset: int, data: bytes) -> None:
        with open(self._path, "r+b", buffering=0) as file:
            if file.seek(0, os.SEEK_END) < offset:
                raise StoreError(f"{self._path} was cut short: restore it from a backup")
            file.seek(offset)
            while data:
                data = data[file.write(data) :]
            os.fsync(file.fileno())


def new_person(name: str) -> PersonKey:
    """A person that nobody was before, with a key."""
    return PersonKey(secrets.token_bytes(ID_BYTES), name, secrets.token_bytes(KEY_BYTES))


def is_whole(content: bytes) -> bool:
    """Whether this begins like a file of person keys."""
    return len(content) >= SLOT_BYTES and content.startswith(MAGIC)


def file_id(content: bytes, path: Path) -> bytes:
    """Which file of person keys this is. Raises :class:`StoreError` when it is none."""
    if not is_whole(content):
        raise StoreError(f"{path} is not a file of person keys: restore it from a backup")
    _, version, found, _ = HEADER.unpack_from(content)
    if version != FORMAT:
        raise StoreError(
            f"{path} was made by another version of voxwatch (format {version}, this one reads"
            f" {FORMAT}): use that version"
        )
    return bytes(found)
