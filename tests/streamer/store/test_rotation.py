"""Keys are rotated whole or not at all, while others use the store, and the old ones are gone."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from enrolled_people import MODEL, NOW, Disk, enrol, prototype
from killing import Killed, die, run_and_kill

from streamer.store import vault
from streamer.store.audit import Entry
from streamer.store.errors import StoreError
from streamer.store.keys import KEY_FILE, PERSON_KEYS_FILE, load_key, read_key
from streamer.store.rotation import rotate
from streamer.store.shred import replace_with
from streamer.store.store import Store
from streamer.store.vault import NEXT, Vault

ROOT = Path(__file__).parents[3]
ENTRY = Entry(NOW, "somebody", "rotate")
PEOPLE = 12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return filled(tmp_path / "data")


def filled(folder: Path) -> Path:
    path = folder / "voiceprints.db"
    with Store.open(path, load_key(folder, env={})) as store:
        for number in range(PEOPLE):
            enrol(store, f"Karenina-{number}", number, number + 100)
    return path


def opened(path: Path) -> Store:
    return Store.in_folder(path.parent, {})


def sealed(store: Store) -> set[bytes]:
    return {row[0] for row in store.vault.database.execute("SELECT sealed FROM enrolments")}


def check(path: Path) -> None:
    """Everybody is there with their voiceprint, and no file of a rotation is left."""
    with opened(path) as store:
        voices = store.voiceprints(MODEL["model_sha256"], NOW)
        assert sorted(voices) == sorted(f"Karenina-{number}" for number in range(PEOPLE))
        for name, voice in voices.items():
            number = int(name.partition("-")[2])
            found = [one.embedding.tobytes() for one in voice.prototypes]
            assert found == [prototype(s).embedding.tobytes() for s in (number, number + 100)]
        names = {file.name for file in path.parent.iterdir()}
    names -= {f"{path.name}{ending}" for ending in ("", "-wal", "-shm")}
    assert names == {"key", "lock", PERSON_KEYS_FILE}


def test_all_is_encrypted_anew_and_the_old_keys_do_not_open_it(path: Path, tmp_path: Path) -> None:
    old_key = read_key(path.with_name("key"))
    old_people = path.with_name(PERSON_KEYS_FILE).read_bytes()
    with opened(path) as store:
        before = sealed(store)
        rotate(store.vault, ENTRY)
        assert not before & sealed(store)
        assert store.acts()[-1].act == "rotate"
        enrol(store, "Anna")
        store.delete("Anna")
    assert read_key(path.with_name("key")) != old_key
    check(path)
    with pytest.raises(StoreError, match="this key is not the one"):
        Store.open(path, old_key)
    shutil.copytree(path.parent, tmp_path / "copy")
    (tmp_path / "copy" / PERSON_KEYS_FILE).write_bytes(old_people)
    with pytest.raises(StoreError, match="belongs to another copy"):
        Store.open(tmp_path / "copy" / path.name, old_key)


def test_the_old_keys_are_gone_from_the_drive(disk: Disk) -> None:
    path = filled(disk.folder / "data")
    old_key = path.with_name("key").read_bytes().strip()
    old_people = path.with_name(PERSON_KEYS_FILE).read_bytes()
    wrapped = [old_people[at + 60 : at + 120] for at in range(128, 128 * (PEOPLE + 1), 128)]
    raw = disk.raw()
    assert old_key in raw
    assert wrapped[0] in raw
    with opened(path) as store:
        rotate(store.vault, ENTRY)
    raw = disk.raw()
    assert old_key not in raw
    assert not [one for one in wrapped if one in raw]
    check(path)


def test_who_has_it_open_goes_on(path: Path) -> None:
    with opened(path) as running, opened(path) as other:
        version = running.version
        rotate(other.vault, ENTRY)
        assert len(running.profiles(NOW)) == PEOPLE
        assert running.version > version
        enrol(running, "Anna")
        rotate(other.vault, ENTRY)
        running.delete("Anna")
        assert running.voiceprints(MODEL["model_sha256"], NOW, ["Karenina-3"])
    check(path)


def test_who_reads_meanwhile_sees_everybody_always(path: Path) -> None:
    failures: list[object] = []
    over = threading.Event()

    def read() -> None:
        with opened(path) as store:
            while not over.is_set():
                if (count := len(store.profiles(NOW))) != PEOPLE:
                    failures.append(count)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        with opened(path) as store:
            for _ in range(10):
                rotate(store.vault, ENTRY)
    finally:
        over.set()
        for reader in readers:
            reader.join()
    assert not failures
    check(path)


def test_a_key_that_takes_its_place_between_two_looks_is_found(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_path = path.with_name(KEY_FILE)
    next_path = path.with_name(KEY_FILE + NEXT)

    def look(looked_at: Path) -> bytes:
        try:
            return read_key(looked_at)
        finally:
            if next_path.exists():
                replace_with(next_path, key_path)

    with opened(path) as reader:
        with opened(path) as store, monkeypatch.context() as patch:
            patch.setattr(Vault, "finish_rotation", lambda _: None)
            rotate(store.vault, ENTRY)
        assert next_path.exists()
        monkeypatch.setattr(vault, "read_key", look)
        assert len(reader.profiles(NOW)) == PEOPLE
        assert not next_path.exists()


def test_a_key_that_is_given_leaves_no_key_file_behind(path: Path) -> None:
    key = bytes(range(32))
    kept = path.with_name("key").read_bytes()
    with opened(path) as store:
        rotate(store.vault, ENTRY, key)
    with Store.open(path, key) as store:
        assert len(store.profiles(NOW)) == PEOPLE
    assert path.with_name("key").read_bytes() == kept


@pytest.mark.parametrize(
    "place",
    [
        "streamer.store.rotation.write_key",
        "streamer.store.rotation.replace",
        "streamer.store.person_keys.write_new",
        "streamer.store.people.People.insert",
        "streamer.store.vault.Vault.note_change",
        "streamer.store.vault.Vault.finish_replacement",
        "streamer.store.vault.replace_with",
        "streamer.store.shred.os.link",
        "streamer.store.shred.os.replace",
        "streamer.store.replacement.shorten_log",
        "streamer.store.vault.Vault.finish_rotation",
    ],
)
def test_an_interruption_leaves_the_one_or_the_other(
    path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    store = opened(path)
    with monkeypatch.context() as patch:
        patch.setattr(place, die)
        with pytest.raises(Killed):
            rotate(store.vault, ENTRY)
    if place != "streamer.store.vault.Vault.finish_replacement":
        assert len(store.profiles(NOW)) == PEOPLE  # also for who has it open
    store.close()
    check(path)
    check(path)


@pytest.mark.parametrize("written", [b"", b"c2l4"])
def test_a_new_key_of_which_a_part_was_written_goes(path: Path, written: bytes) -> None:
    fresh = path.with_name("key.next")
    fresh.write_bytes(written)
    fresh.chmod(0o600)
    check(path)


ROTATING = """
import sys
from pathlib import Path
from streamer.store.audit import Entry
from streamer.store.keys import load_key
from streamer.store.rotation import rotate
from streamer.store.store import Store

path = Path(sys.argv[1])
with Store.open(path, load_key(path.parent, env={})) as store:
    print("ready", flush=True)
    while True:
        rotate(store.vault, Entry(1.0, "somebody", "rotate"))
"""


def test_kills_leave_everybody_readable(path: Path) -> None:
    for delay_ms in (1, 3, 7, 13, 24, 31, 47, 64):
        assert run_and_kill(ROTATING, path, delay_s=delay_ms / 1000)[0] == "ready"
        check(path)
