"""Keys are rotated whole or not at all, while others use the store, and the old ones are gone."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from enrolled_people import MODEL, NOW, Disk, enrol, prototype
from killing import Killed, die, run_and_kill
from readable import readable
from store_place import Place

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
def place(place: Place) -> Place:
    return filled(place)


def filled(place: Place) -> Place:
    with place.open(load_key(place.folder, env={})) as store:
        for number in range(PEOPLE):
            enrol(store, f"Karenina-{number}", number, number + 100)
    return place


def opened(place: Place) -> Store:
    return Store.in_folder(place.folder, place.url, {})


def sealed(place: Place) -> set[bytes]:
    return {row[0] for row in place.rows("SELECT sealed FROM enrolments")}


def check(place: Place) -> None:
    """Everybody is there with their voiceprint, and no file of a rotation is left."""
    with opened(place) as store:
        voices = store.voiceprints(MODEL["model_sha256"], NOW)
        assert sorted(voices) == sorted(f"Karenina-{number}" for number in range(PEOPLE))
        for name, voice in voices.items():
            number = int(name.partition("-")[2])
            found = [one.embedding.tobytes() for one in voice.prototypes]
            assert found == [prototype(s).embedding.tobytes() for s in (number, number + 100)]
        names = {file.name for file in place.folder.iterdir()}
    names -= {f"{place.file.name}{ending}" for ending in ("", "-wal", "-shm")}
    assert names == {"key", "lock", PERSON_KEYS_FILE}


def test_all_is_encrypted_anew_and_the_old_keys_do_not_open_it(
    place: Place, tmp_path: Path
) -> None:
    old_key = read_key(place.folder / KEY_FILE)
    old_people = (place.folder / PERSON_KEYS_FILE).read_bytes()
    with opened(place) as store:
        before = sealed(place)
        rotate(store.vault, ENTRY)
        assert not before & sealed(place)
        assert store.acts()[-1].act == "rotate"
        enrol(store, "Anna")
        store.delete("Anna")
    assert read_key(place.folder / KEY_FILE) != old_key
    check(place)
    with pytest.raises(StoreError, match="this key is not the one"):
        place.open(old_key)
    copy = Place(tmp_path / "copy", place.url)
    shutil.copytree(place.folder, copy.folder)
    (copy.folder / PERSON_KEYS_FILE).write_bytes(old_people)
    with pytest.raises(StoreError, match="belongs to another copy"):
        copy.open(old_key)


def test_the_old_keys_are_gone_from_the_drive(disk: Disk) -> None:
    place = filled(Place(disk.folder / "data"))
    old_key = (place.folder / KEY_FILE).read_bytes().strip()
    old_people = (place.folder / PERSON_KEYS_FILE).read_bytes()
    wrapped = [old_people[at + 60 : at + 120] for at in range(128, 128 * (PEOPLE + 1), 128)]
    raw = disk.raw()
    assert old_key in raw
    assert wrapped[0] in raw
    with opened(place) as store:
        rotate(store.vault, ENTRY)
    raw = disk.raw()
    assert not readable([old_key, *wrapped], raw)
    check(place)


def test_who_has_it_open_goes_on(place: Place) -> None:
    with opened(place) as running, opened(place) as other:
        version = running.version
        rotate(other.vault, ENTRY)
        assert len(running.profiles(NOW)) == PEOPLE
        assert running.version > version
        enrol(running, "Anna")
        rotate(other.vault, ENTRY)
        running.delete("Anna")
        assert running.voiceprints(MODEL["model_sha256"], NOW, ["Karenina-3"])
    check(place)


def test_who_reads_meanwhile_sees_everybody_always(place: Place) -> None:
    failures: list[object] = []
    over = threading.Event()

    def read() -> None:
        with opened(place) as store:
            while not over.is_set():
                if (count := len(store.profiles(NOW))) != PEOPLE:
                    failures.append(count)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        with opened(place) as store:
            for _ in range(10):
                rotate(store.vault, ENTRY)
    finally:
        over.set()
        for reader in readers:
            reader.join()
    assert not failures
    check(place)


def test_a_key_that_takes_its_place_between_two_looks_is_found(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_path = place.folder / KEY_FILE
    next_path = place.folder / (KEY_FILE + NEXT)

    def look(looked_at: Path) -> bytes:
        try:
            return read_key(looked_at)
        finally:
            if next_path.exists():
                replace_with(next_path, key_path)

    with opened(place) as reader:
        with opened(place) as store, monkeypatch.context() as patch:
            patch.setattr(Vault, "finish_rotation", lambda _: None)
            rotate(store.vault, ENTRY)
        assert next_path.exists()
        monkeypatch.setattr(vault, "read_key", look)
        assert len(reader.profiles(NOW)) == PEOPLE
        assert not next_path.exists()


def test_a_key_that_is_given_leaves_no_key_file_behind(place: Place) -> None:
    key = bytes(range(32))
    kept = (place.folder / KEY_FILE).read_bytes()
    with opened(place) as store:
        rotate(store.vault, ENTRY, key)
    with place.open(key) as store:
        assert len(store.profiles(NOW)) == PEOPLE
    assert (place.folder / KEY_FILE).read_bytes() == kept


@pytest.mark.parametrize(
    "where",
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
    place: Place, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    store = opened(place)
    with monkeypatch.context() as patch:
        patch.setattr(where, die)
        with pytest.raises(Killed):
            rotate(store.vault, ENTRY)
    if where != "streamer.store.vault.Vault.finish_replacement":
        assert len(store.profiles(NOW)) == PEOPLE  # also for who has it open
    store.close()
    check(place)
    check(place)


@pytest.mark.parametrize("written", [b"", b"c2l4"])
def test_a_new_key_of_which_a_part_was_written_goes(place: Place, written: bytes) -> None:
    fresh = place.folder / "key.next"
    fresh.write_bytes(written)
    fresh.chmod(0o600)
    check(place)


ROTATING = """
import sys
from pathlib import Path
from streamer.store.audit import Entry
from streamer.store.keys import load_key
from streamer.store.rotation import rotate
from streamer.store.store import Store

folder, database = Path(sys.argv[1]), sys.argv[2] or None
with Store.open(folder, load_key(folder, env={}), database=database) as store:
    print("ready", flush=True)
    while True:
        rotate(store.vault, Entry(1.0, "somebody", "rotate"))
"""


def test_kills_leave_everybody_readable(place: Place) -> None:
    for delay_ms in (1, 3, 7, 13, 24, 31, 47, 64):
        assert run_and_kill(ROTATING, *place.arguments, delay_s=delay_ms / 1000)[0] == "ready"
        check(place)
