"""Copies of a store that lack something, or whose keys are another's: told, and nothing is lost."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from enrolled_people import KEY, NOW, enrol
from store_place import Place

from streamer.store.errors import StoreError
from streamer.store.keys import PERSON_KEYS_FILE
from streamer.store.person_keys import SLOT_BYTES
from streamer.store.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "voiceprints.db"


def copied(folder: Path, target: Path, *names: str) -> Path:
    target.mkdir(mode=0o700)
    for name in names:
        (target / name).write_bytes((folder / name).read_bytes())
    return target


def test_a_copy_without_its_log_or_its_keys_is_told(path: Path) -> None:
    folder = path.parent
    with contextlib.closing(sqlite3.connect(":memory:")), Store.open(path.parent, KEY) as store:
        enrol(store, "Anna", 1)
        reader = sqlite3.connect(path)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM people").fetchall()  # what follows stays in the log
        for number in range(31):
            enrol(store, f"Karenina-{number}", number)
        everything = ("voiceprints.db", "voiceprints.db-wal", "people.keys")
        whole = copied(folder, folder.parent / "whole", *everything)
        no_log = copied(folder, folder.parent / "no log", "voiceprints.db", "people.keys")
        no_keys = copied(folder, folder.parent / "no keys", *everything[:2])
        no_database = copied(folder, folder.parent / "no database", "people.keys")
        reader.close()
    with Store.open(whole, KEY) as store:
        assert len(store.profiles(NOW)) == 32
    with pytest.raises(StoreError, match=r"lacks 31 of the 32 people .* voiceprints.db-wal"):
        Store.open(no_log, KEY)
    with pytest.raises(StoreError, match=r"the keys of its people, .*people.keys, are not"):
        Store.open(no_keys, KEY)
    with pytest.raises(StoreError, match=r"its database .* is not"):
        Store.open(no_database, KEY)


def test_the_database_alone_holds_everybody_while_nobody_reads(path: Path) -> None:
    with Store.open(path.parent, KEY) as store:
        for number in range(32):
            enrol(store, f"Karenina-{number}", number)
        alone = copied(path.parent, path.parent.parent / "alone", "voiceprints.db", "people.keys")
    with Store.open(alone, KEY) as store:
        assert len(store.profiles(NOW)) == 32


def test_keys_of_an_earlier_moment_or_another_store_are_told(place: Place, tmp_path: Path) -> None:
    keys = place.folder / PERSON_KEYS_FILE
    with place.open() as store:
        enrol(store, "Anna", 1)
        earlier = keys.read_bytes()
        enrol(store, "Bert", 2)
    today = keys.read_bytes()
    keys.write_bytes(earlier)
    with pytest.raises(StoreError, match="is older than"):
        place.open()
    Store.open(tmp_path / "other", KEY).close()
    keys.write_bytes((tmp_path / "other" / PERSON_KEYS_FILE).read_bytes())
    with pytest.raises(StoreError, match="belongs to another copy of the store"):
        place.open()
    keys.write_bytes(today)
    with place.open() as store:
        assert len(store.profiles(NOW)) == 2


def test_keys_that_are_exchanged_below_an_open_store_change_nothing(place: Place) -> None:
    """As where two machines write to one database, each with a copy of the keys."""
    keys = place.folder / PERSON_KEYS_FILE
    with place.open() as store:
        enrol(store, "Anna", 1)
        earlier = keys.read_bytes()
        enrol(store, "Bert", 2)
        today = keys.read_bytes()
        keys.write_bytes(earlier)
        with pytest.raises(StoreError, match="is older than"):
            enrol(store, "Carl", 3)
        assert len(place.rows("SELECT * FROM people")) == 2
        keys.write_bytes(today)
        enrol(store, "Carl", 3)
        assert [profile.name for profile in store.profiles(NOW)] == ["Anna", "Bert", "Carl"]


def test_a_database_that_belongs_to_another_folder_is_told(
    postgresql_place: Place, tmp_path: Path
) -> None:
    with postgresql_place.open() as store:
        enrol(store, "Anna", 1)
    other = Place(tmp_path / "other", postgresql_place.url)
    with pytest.raises(StoreError, match=r"the keys of its people, .*people.keys, are not"):
        other.open()
    Place(tmp_path / "third").open().close()
    (other.folder / PERSON_KEYS_FILE).write_bytes(
        (tmp_path / "third" / PERSON_KEYS_FILE).read_bytes()
    )
    with pytest.raises(StoreError, match="belongs to another copy of the store"):
        other.open()
    with postgresql_place.open() as store:
        assert len(store.profiles(NOW)) == 1


def test_a_database_of_an_earlier_moment_is_told(place: Place) -> None:
    with place.open() as store:
        enrol(store, "Anna", 1)
        enrol(store, "Bert", 2)
    place.rows("DELETE FROM enrolments")
    place.rows("DELETE FROM people")
    with pytest.raises(StoreError, match=r"lacks 2 of the 2 people who have keys: (was|is) it"):
        place.open()
    with place.open(repair=True) as store:
        assert store.profiles(NOW) == []


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda c: c[:SLOT_BYTES] + b"\x5a" * SLOT_BYTES + c[2 * SLOT_BYTES :], "is damaged"),
        (lambda c: c[: SLOT_BYTES + 70] + b"\x5a" + c[SLOT_BYTES + 71 :], "is damaged"),
        (lambda c: b"PK" + c, "is not a file of person keys"),
        (lambda c: b"", "is not a file of person keys"),
    ],
)
def test_damaged_keys_are_told_and_nobody_is_taken_for_deleted(
    path: Path, spoil: Callable[[bytes], bytes], told: str
) -> None:
    keys = path.parent / PERSON_KEYS_FILE
    with Store.open(path.parent, KEY) as store:
        enrol(store, "Anna", 1)
        enrol(store, "Bert", 2)
    whole = keys.read_bytes()
    keys.write_bytes(spoil(whole))
    with pytest.raises(StoreError, match=told):
        Store.open(path.parent, KEY)
    keys.write_bytes(whole)
    with Store.open(path.parent, KEY) as store:
        assert len(store.profiles(NOW)) == 2
