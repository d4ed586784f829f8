"""Backups: whole or not at all, without the key; restored in one step, and nobody comes back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from enrolled_people import KEY, MODEL, NOW, enrol, prototype
from killing import Killed, die, run_and_kill
from readable import readable
from store_place import Place

from streamer.store.audit import Entry
from streamer.store.backup import back_up, restore
from streamer.store.errors import StoreError
from streamer.store.rotation import rotate
from streamer.store.store import Store

ROOT = Path(__file__).parents[3]
OTHER = KEY[::-1]
BACKUP, RESTORE = Entry(NOW, "somebody", "backup"), Entry(NOW, "somebody", "restore")


@pytest.fixture(autouse=True)
def everybody(place: Place) -> None:
    with place.open() as store:
        for number in range(6):
            enrol(store, f"Karenina-{number}", number, ttl_s=5000.0 if number == 5 else None)


def names(store: Store) -> list[str]:
    return [profile.name for profile in store.profiles(NOW)]


def test_a_backup_brings_everybody_to_another_machine(place: Place, tmp_path: Path) -> None:
    target = tmp_path / "monday"
    with place.open() as store:
        assert back_up(store.vault, target, BACKUP) == 6
        everything = [store.export(name, NOW) for name in names(store)]
    content = target.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o600
    assert not readable([KEY, b"Karenina", prototype(1).embedding.tobytes()[:16]], content)
    with Place(tmp_path / "new").open(OTHER) as store:
        assert restore(store.vault, target, KEY, RESTORE) == (6, 0)
        assert [store.export(name, NOW) for name in names(store)] == everything
        acts = [act.act for act in store.acts()]
        assert acts[:8] == ["enrol"] * 6 + ["backup", "restore"]
        assert store.acts()[0].person == "Karenina-0"
    with Place(tmp_path / "new").open(OTHER) as store:
        assert len(names(store)) == 6


def test_the_deleted_stay_deleted_and_the_new_ones_go(place: Place, tmp_path: Path) -> None:
    with place.open() as store:
        back_up(store.vault, tmp_path / "monday", BACKUP)
        store.delete("Karenina-2")
        store.purge(NOW + 5000)
        enrol(store, "Anna")
        rotate(store.vault, Entry(NOW, "somebody", "rotate"), OTHER)
        assert restore(store.vault, tmp_path / "monday", KEY, RESTORE) == (4, 2)
        assert names(store) == [f"Karenina-{n}" for n in (0, 1, 3, 4)]
        back_up(store.vault, tmp_path / "tuesday", BACKUP)
    with Place(tmp_path / "new").open() as store:
        assert restore(store.vault, tmp_path / "tuesday", OTHER, RESTORE) == (4, 0)
        assert restore(store.vault, tmp_path / "monday", KEY, RESTORE) == (4, 2)
        assert names(store) == [f"Karenina-{n}" for n in (0, 1, 3, 4)]


def test_a_server_goes_on_with_what_was_restored(place: Place, tmp_path: Path) -> None:
    with place.open() as running, place.open() as other:
        back_up(other.vault, tmp_path / "monday", BACKUP)
        enrol(running, "Anna")
        version = running.version
        restore(other.vault, tmp_path / "monday", KEY, RESTORE)
        assert running.version > version
        assert len(names(running)) == 6
        assert running.voiceprints(MODEL["model_sha256"], NOW, ["Karenina-3"])


def test_the_wrong_key_or_file_changes_nothing(place: Place, tmp_path: Path) -> None:
    target = tmp_path / "monday"
    with place.open() as store:
        back_up(store.vault, target, BACKUP)
        with pytest.raises(StoreError, match="is there already"):
            back_up(store.vault, target, BACKUP)
        with pytest.raises(StoreError, match="this key is not the one that the store had"):
            restore(store.vault, target, OTHER, RESTORE)
        with pytest.raises(StoreError, match="is no file"):
            restore(store.vault, tmp_path / "tuesday", KEY, RESTORE)
        whole = target.read_bytes()
        Place(tmp_path / "other").open().close()
        other = Place(tmp_path / "other").file.read_bytes()
        for content in (b"PK" * 5000, b"", other, whole[: len(whole) // 2]):
            target.write_bytes(content)
            with pytest.raises(StoreError, match="is no backup, or a damaged one"):
                restore(store.vault, target, KEY, RESTORE)
        assert len(names(store)) == 6


def test_a_store_is_no_backup_and_a_backup_no_store(place: Place, tmp_path: Path) -> None:
    with place.open() as store:
        back_up(store.vault, tmp_path / "monday", BACKUP)
    (tmp_path / "new").mkdir()
    shutil.copyfile(tmp_path / "monday", Place(tmp_path / "new").file)
    with pytest.raises(StoreError, match="database of another program"):
        Place(tmp_path / "new").open()


@pytest.mark.parametrize(
    "where",
    [
        "streamer.store.backup._continue_audit",
        "streamer.store.people.People.insert",
        "streamer.store.vault.Vault.finish_replacement",
        "streamer.store.vault.replace_with",
        "streamer.store.shred.os.replace",
        "streamer.store.replacement.shorten_log",
    ],
)
def test_an_interrupted_restoration_leaves_the_one_or_the_other(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    with place.open() as store:
        back_up(store.vault, tmp_path / "monday", BACKUP)
        enrol(store, "Anna")
    store = place.open()
    with monkeypatch.context() as patch:
        patch.setattr(where, die)
        with pytest.raises(Killed):
            restore(store.vault, tmp_path / "monday", KEY, RESTORE)
    store.close()
    with place.open() as store:
        assert len(names(store)) in (6, 7)
        assert len(store.voiceprints(MODEL["model_sha256"], NOW)) == len(names(store))


BACKING_UP = """
import sys
from itertools import count
from pathlib import Path
from streamer.store.audit import Entry
from streamer.store.backup import back_up, restore
from streamer.store.store import Store

data, database, folder = Path(sys.argv[1]), sys.argv[2] or None, Path(sys.argv[3])
key = bytes(range(32))
with Store.open(data, key, database=database) as store:
    print("ready", flush=True)
    for number in count():
        target = folder / str(number)
        back_up(store.vault, target, Entry(1.0, "somebody", "backup"))
        print(number, flush=True)
        restore(store.vault, target, key, Entry(1.0, "somebody", "restore"))
"""


@pytest.mark.parametrize("backups", [0, 1, 2])  # that are waited for
@pytest.mark.parametrize("delay_ms", [5, 40, 120, 300])
def test_kills_leave_whole_backups_and_a_whole_store(
    place: Place, tmp_path: Path, backups: int, delay_ms: int
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    printed = run_and_kill(
        BACKING_UP, *place.arguments, folder, lines=1 + backups, delay_s=delay_ms / 1000
    )
    assert printed[: 1 + backups] == ["ready", "0", "1"][: 1 + backups]
    found = [file for file in folder.iterdir() if file.name.isdigit()]  # others are unfinished
    assert len(found) >= backups
    with place.open() as store:
        assert len(store.voiceprints(MODEL["model_sha256"], NOW)) == 6
        for target in found:
            assert restore(store.vault, target, KEY, RESTORE) == (6, 0)
