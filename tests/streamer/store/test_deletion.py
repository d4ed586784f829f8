"""Deletion for good: what is left anywhere cannot be read, with the store's key at hand."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import struct
from pathlib import Path
from typing import Any

import pytest
from enrolled_people import KEY, MODEL, NOW, Disk, enrol, prototype
from killing import Killed, die, run_and_kill

from streamer.store import shred
from streamer.store.errors import StoreError, UnknownSpeaker
from streamer.store.keys import PERSON_KEYS_FILE
from streamer.store.opening import erase
from streamer.store.person_keys import PENDING, SLOT_BYTES, PersonKeys
from streamer.store.store import Store

ROOT = Path(__file__).parents[3]
WRAPPED = slice(60, 120)  # of a slot: nonce, key and tag


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "voiceprints.db"


def slots(folder: Path) -> set[bytes]:
    """The wrapped keys that lie in the file just now."""
    content = (folder / PERSON_KEYS_FILE).read_bytes()
    starts = range(SLOT_BYTES, len(content), SLOT_BYTES)
    live = [start for start in starts if struct.unpack_from("<I", content, start)[0] in (1, 2)]
    return {content[start : start + SLOT_BYTES][WRAPPED] for start in live}


def all_bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file())


def shows(raw: bytes, name: str, *seeds: int) -> bool:
    """Whether a name or an embedding can be read, in any of the forms that it could have."""
    texts = [name.encode(form) for form in ("utf-8", "utf-16-le")]
    embeddings = [prototype(seed).embedding.tobytes()[:16] for seed in seeds]
    return any(text in raw for text in texts + embeddings)


def test_neither_name_nor_voice_can_be_read_in_the_files(path: Path) -> None:
    with Store.open(path, KEY) as store:
        enrol(store, "Anna Karenina", 1, 2)
        assert not shows(all_bytes(path.parent), "Anna Karenina", 1, 2)
    assert not shows(all_bytes(path.parent), "Anna Karenina", 1, 2)


def test_with_the_person_goes_the_key(path: Path) -> None:
    with Store.open(path, KEY) as store:
        enrol(store, "Bert", 2)
        (bert,) = slots(path.parent)
        enrol(store, "Anna Karenina", 1)
        (anna,) = slots(path.parent) - {bert}
        store.delete("Anna Karenina")
        assert anna not in all_bytes(path.parent)
        assert slots(path.parent) == {bert}
        keys = PersonKeys.read(path.parent / PERSON_KEYS_FILE, KEY)
        assert keys.find("Anna Karenina") is None
        assert keys.find("Bert") is not None


def test_a_copy_of_the_rows_cannot_be_opened_with_the_keys_that_are_left(path: Path) -> None:
    """Somebody kept database and log of the moment before, and has the store's key."""
    with Store.open(path, KEY) as store:
        enrol(store, "Anna", 1)
        enrol(store, "Bert", 2)
        kept = {f: f.read_bytes() for f in path.parent.glob("voiceprints.db*")}
        store.delete("Anna")
    for file, content in kept.items():
        file.write_bytes(content)
    with Store.open(path, KEY) as store:
        assert [profile.name for profile in store.profiles(NOW)] == ["Bert"]
        assert [(e.act, e.person[:8]) for e in store.acts()][-1] == ("delete", "(deleted")


def test_a_reader_does_not_hinder_it(path: Path) -> None:
    with Store.open(path, KEY, busy_s=3600) as store:  # to wait for it would take that long
        enrol(store, "Anna", 1)
        (anna,) = slots(path.parent)
        with contextlib.closing(sqlite3.connect(path)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM people").fetchall()
            store.delete("Anna")
            assert anna not in all_bytes(path.parent)
            assert not store.profiles(NOW)


def test_one_who_comes_back_has_another_key(path: Path) -> None:
    with Store.open(path, KEY) as store:
        enrol(store, "Anna", 1)
        first = slots(path.parent)
        store.delete("Anna")
        enrol(store, "Anna", 1)
        assert not slots(path.parent) & first


def test_nothing_is_left_on_the_drive(disk: Disk) -> None:
    folder = disk.folder / "data"
    gone: set[bytes] = set()
    with Store.open(folder / "voiceprints.db", KEY) as store:
        for number in range(30):
            before = slots(folder)
            enrol(store, f"Karenina-{number}", number)
            if number % 3:
                gone |= slots(folder) - before
        (any_slot, *_) = slots(folder)
        assert any_slot in disk.raw()  # the search can find one
        for number in range(30):
            if number % 3:
                store.delete(f"Karenina-{number}")
        raw = disk.raw()
        assert len(gone) == 20
        assert not [one for one in gone if one in raw or one[12:44] in raw]
        assert not [n for n in range(30) if shows(raw, f"Karenina-{n}", n)]


def test_it_works_on_a_full_disk(disk: Disk) -> None:
    folder = disk.folder / "data"
    path = folder / "voiceprints.db"
    with Store.open(path, KEY) as store:
        for number in range(40):
            enrol(store, f"Karenina-{number}", number)
        wrapped = slots(folder)
        disk.fill()
        with pytest.raises(StoreError, match=r"disk is full|reading or writing"):
            enrol(store, "Karenina-60", *range(900))
        there = {profile.name for profile in store.profiles(NOW)}
        for number in range(40):
            store.delete(f"Karenina-{number}")
        assert not {f"Karenina-{n}" for n in range(40)} & {p.name for p in store.profiles(NOW)}
        raw = disk.raw()
        assert not [one for one in wrapped if one in raw]
        (disk.folder / "filler").unlink()
    with Store.open(path, KEY) as store:
        kept = {profile.name for profile in store.profiles(NOW)}
        assert kept == {name for name in there if int(name.partition("-")[2]) >= 40}
        assert len(store.vault.database.execute("SELECT * FROM people").fetchall()) == len(kept)


def test_a_person_of_a_store_that_cannot_be_opened_can_be_deleted(path: Path) -> None:
    with Store.open(path, KEY) as store:
        enrol(store, "Anna", 1)
        enrol(store, "Bert", 2)
    whole = path.read_bytes()
    path.write_bytes(b"spoilt" * 1000)
    with pytest.raises(UnknownSpeaker):
        erase(path, KEY, "Carl", busy_s=1.0)
    with pytest.raises(StoreError, match="this key is not the one"):
        erase(path, KEY[::-1], "Anna", busy_s=1.0)
    erase(path, KEY, "Anna", busy_s=1.0)
    path.write_bytes(whole)
    with Store.open(path, KEY) as store:
        assert [profile.name for profile in store.profiles(NOW)] == ["Bert"]


@pytest.mark.parametrize(
    ("who", "told"),
    [
        ("token desk (1a2b3c4d)", "token desk (1a2b3c4d)"),
        ("token " + "ж" * 64 + " (1a2b3c4d)", "ж (1a2b3c4d)"),
    ],
)
def test_who_deleted_is_told_though_the_database_took_nothing(
    path: Path, who: str, told: str
) -> None:
    with Store.open(path, KEY) as store:
        enrol(store, "Anna", 1)
        enrol(store, "Bert", 2)
        store.vault.database.close()
        store.delete("Anna", who=who)
    with Store.open(path, KEY) as store:
        enrol(store, "Carl", 3)
        (entry,) = [entry for entry in store.acts() if entry.act == "delete"]
        assert entry.who.startswith("token ")
        assert entry.who.endswith(told)
        assert abs(entry.at - store.now()) < 600


def test_an_open_store_whose_database_is_spoilt_deletes(path: Path) -> None:
    with Store.open(path, KEY) as store:
        enrol(store, "Anna", 1)
        store.vault.database.close()
        store.delete("Anna")
        assert not slots(path.parent)


def test_on_a_disk_that_is_read_only_it_is_said_and_nothing_is_gone(disk: Disk) -> None:
    with Store.open(disk.folder / "voiceprints.db", KEY) as store:
        enrol(store, "Anna", 1)
        disk.remount("abort")  # as ext4 does when the drive fails
        for write in (lambda: store.delete("Anna"), lambda: enrol(store, "Bert")):
            with pytest.raises(StoreError, match=r"cannot (read or )?write"):
                write()
        assert [profile.name for profile in store.profiles(NOW)] == ["Anna"]
        assert store.voiceprints(MODEL["model_sha256"], NOW, ["Anna"])


# Killed in the middle


ROUNDS = """
import sys
from pathlib import Path
import numpy as np
from engine.scoring.voiceprints import Prototype
from streamer.store.profile import Consent
from streamer.store.store import Store

path, key, first = Path(sys.argv[1]), bytes.fromhex(sys.argv[2]), int(sys.argv[3])
more = dict(consent=Consent("2026-11", 1.0), model_name="m", model_sha256="ab", ttl_s=None, now=1.0)
voice = [Prototype(np.eye(192, dtype=np.float32)[0], 10.0)]
with Store.open(path, key) as store:
    for number in range(first, 100_000):
        name = f"Karenina-{number}"
        store.add(name, voice, **more)
        print("+", name, flush=True)
        store.add(name, voice, extend=True, **more)
        print("*", name, flush=True)
        if number % 3:
            print("?", name, flush=True)
            store.delete(name)
            print("-", name, flush=True)
"""


def test_kills_lose_nobody_and_bring_nobody_back(path: Path) -> None:
    chance = random.Random(7)
    counts: dict[str, int] = {}  # prototypes that were acknowledged
    gone, doubtful, first = set[str](), set[str](), 0
    wrapped: set[bytes] = set()
    for _ in range(8):
        lines, delay_s = chance.choice([2, 20, 40]), chance.uniform(0, 0.02)
        told = run_and_kill(ROUNDS, path, KEY.hex(), first, lines=lines, delay_s=delay_s)
        for line in told:
            mark, _, name = line.partition(" ")
            counts[name] = counts.get(name, 0) + (mark in "+*")
            doubtful |= {name} if mark == "?" else set()
            gone |= {name} if mark == "-" else set()
        first = 1 + max(int(name.partition("-")[2]) for name in counts) + 1
        wrapped |= slots(path.parent)
        with Store.open(path, KEY) as store:
            there = {profile.name: profile.prototypes for profile in store.profiles(NOW)}
        keys = PersonKeys.read(path.parent / PERSON_KEYS_FILE, KEY)
        raw = all_bytes(path.parent)
        kept = counts.keys() - doubtful
        assert {name: there.get(name, 0) for name in kept} == pytest.approx(
            {name: counts[name] for name in kept}, abs=1
        )
        assert all(there[name] >= counts[name] for name in kept)
        assert not gone & there.keys()
        assert not [name for name in counts if name.encode() in raw]
        assert not keys.with_state(PENDING)
        assert len(keys.people) == len(there)
        assert not [one for one in wrapped - slots(path.parent) if one in raw]
    assert len(gone) > 8


@pytest.mark.parametrize(
    "place",
    [
        "streamer.store.people.People.insert",
        "streamer.store.person_keys.PersonKeys.confirm",
        "streamer.store.vault.shorten_log",
    ],
)
def test_an_enrolment_that_was_cut_off_is_there_or_not(
    path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    with Store.open(path, KEY) as store:
        enrol(store, "Anna", 1)
    store = Store.open(path, KEY)
    with monkeypatch.context() as patch:
        patch.setattr(place, die)
        patch.setattr("streamer.store.people.People.give_up", lambda self: None)
        with pytest.raises(Killed):
            enrol(store, "Bert", 2)
    there = place != "streamer.store.people.People.insert"
    store.close()
    with Store.open(path, KEY) as store:
        assert [p.name for p in store.profiles(NOW)] == (["Anna", "Bert"] if there else ["Anna"])
        assert len(slots(path.parent)) == 1 + there
        enrol(store, "Bert", 3, extend=there)


def test_an_enrolment_whose_key_could_not_be_confirmed_is_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    with Store.open(path, KEY) as store, monkeypatch.context() as patch:
        patch.setattr(PersonKeys, "confirm", fail)
        assert enrol(store, "Anna", 1).name == "Anna"
    assert PersonKeys.read(path.parent / PERSON_KEYS_FILE, KEY).with_state(PENDING)
    with Store.open(path, KEY) as store:
        assert [profile.name for profile in store.profiles(NOW)] == ["Anna"]
    assert not PersonKeys.read(path.parent / PERSON_KEYS_FILE, KEY).with_state(PENDING)


def test_a_deletion_that_was_cut_off_is_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(path, KEY) as store:
        enrol(store, "Anna", 1)
        with monkeypatch.context() as patch:
            patch.setattr(Store, "_remove_rows", die)
            with pytest.raises(Killed):
                store.delete("Anna")
        assert not store.profiles(NOW)
    with Store.open(path, KEY) as store:
        assert not store.profiles(NOW)
        assert store.vault.database.execute("SELECT * FROM people").fetchall() == []
        enrol(store, "Anna", 1)


# The files themselves


def test_more_people_than_the_file_of_keys_has_room_for(path: Path) -> None:
    with Store.open(path, KEY) as store:
        for number in range(70):
            enrol(store, f"Karenina-{number}", number)
        for number in range(0, 70, 2):
            store.delete(f"Karenina-{number}")
    with Store.open(path, KEY) as store:
        assert len(store.profiles(NOW)) == len(slots(path.parent)) == 35


def test_everybody_may_write_to_the_folder(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o777)
    with pytest.raises(StoreError, match=r"everybody may write to .*chmod 700"):
        Store.open(path, KEY)


def test_a_shredded_file_is_overwritten_where_it_lay(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"secret" * 300_000)
    other.hardlink_to(path)
    shred.shred(path)
    assert not path.exists()
    assert len(other.read_bytes()) == 1_800_000
    assert b"secret" not in other.read_bytes()
