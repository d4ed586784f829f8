"""A store of format 1 is brought over whole or not at all, and its names go from the file."""

from __future__ import annotations

import base64
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from enrolled_people import KEY, Disk
from killing import Killed, die, run_and_kill
from readable import readable

from streamer.store.errors import StoreError
from streamer.store.keys import PERSON_KEYS_FILE, read_key
from streamer.store.store import Store

ROOT = Path(__file__).parents[3]
OLD = ROOT / "tests" / "compatibility" / "0.3.1"
NOW = 1.8e9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return _old(tmp_path / "data")


def _old(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    for name in ("key", "voiceprints.db"):
        shutil.copyfile(OLD / "data" / name, folder / name)
        (folder / name).chmod(0o600)
    return folder / "voiceprints.db"


def _key(path: Path) -> bytes:
    return read_key(path.with_name("key"))


def _check(path: Path) -> None:
    """Everybody is there as they were."""
    with Store.open(path.parent, _key(path)) as store:
        assert [profile.name for profile in store.profiles(NOW)] == ["anna", "ben"]
        assert store.export("anna", NOW) == json.loads((OLD / "anna.json").read_text())
    for file in path.parent.iterdir():
        content = file.read_bytes()
        assert not readable(_names(), content), file.name
        assert b"anna" not in content, file.name  # by chance once in 100,000 runs


def _names() -> set[bytes]:
    """The names in the old file, each with what stood before it, and with what stood behind.

    By themselves they are so short that chance puts them among encrypted bytes.
    """
    old = (OLD / "data" / "voiceprints.db").read_bytes()
    found = [match.span() for name in (b"anna", b"ben") for match in re.finditer(name, old)]
    assert len(found) == 4, "a row and an entry of the index each"
    return {part for at, end in found for part in (old[at - 4 : end], old[at : end + 4])}


def _embedding() -> bytes:
    (part,) = json.loads((OLD / "anna.json").read_text())["prototypes"]
    return base64.b64decode(part["embedding"])


def test_everybody_is_brought_over_and_no_name_is_left(path: Path) -> None:
    assert len(readable(_names(), path.read_bytes())) == len(_names())
    _check(path)
    _check(path)
    with Store.open(path.parent, _key(path)) as store:
        assert [entry.act for entry in store.acts()] == ["upgrade", "export", "export"]
        store.delete("anna")
        assert [profile.name for profile in store.profiles(NOW)] == ["ben"]


def test_no_name_is_left_on_the_drive(disk: Disk) -> None:
    path = _old(disk.folder / "data")
    assert len(readable(_names(), disk.raw())) == len(_names())
    key = _key(path)
    with Store.open(path.parent, key) as store:
        assert len(store.profiles(NOW)) == 2
        raw = disk.raw()
        assert not readable([*_names(), _embedding()[:16]], raw)
        assert b"anna" not in raw


def test_a_wrong_key_changes_nothing(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(StoreError, match="this key is not the one"):
        Store.open(path.parent, KEY)
    assert path.read_bytes() == before
    assert not path.with_name(PERSON_KEYS_FILE).exists()


def test_a_damaged_voiceprint_is_told_and_the_store_is_left(path: Path) -> None:
    database = sqlite3.connect(path)
    with database:
        database.execute("UPDATE prototypes SET sealed = x'00' WHERE profile = 1")
    database.close()
    with pytest.raises(StoreError, match="voiceprint of 'anna' is damaged, and the store is left"):
        Store.open(path.parent, _key(path))
    database = sqlite3.connect(path)
    assert database.execute("SELECT count(*) FROM profiles").fetchone() == (2,)
    database.close()


def test_keys_beside_an_older_database_are_told(path: Path, tmp_path: Path) -> None:
    Store.open(tmp_path / "other", KEY).close()
    shutil.copyfile(tmp_path / "other" / PERSON_KEYS_FILE, path.with_name(PERSON_KEYS_FILE))
    with pytest.raises(StoreError, match="is an older one"):
        Store.open(path.parent, _key(path))
    path.with_name(PERSON_KEYS_FILE).unlink()
    _check(path)


@pytest.mark.parametrize(
    "place",
    [
        "streamer.store.older_format.upgrade",
        "streamer.store.person_keys.write_new",
        "streamer.store.people.People.insert",
        "streamer.store.vault.Vault.note_change",
        "streamer.store.vault.Vault.finish_replacement",
        "streamer.store.vault.replace_with",
        "streamer.store.shred.os.replace",
        "streamer.store.replacement.shorten_log",
    ],
)
def test_an_interruption_leaves_the_one_or_the_other(
    path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(place, die)
        with pytest.raises(Killed):
            Store.open(path.parent, _key(path))
    _check(path)
    _check(path)
    assert not [f.name for f in path.parent.iterdir() if f.suffix in (".next", ".old")]


OPEN = """
import sys
from pathlib import Path
from streamer.store.keys import read_key
from streamer.store.store import Store

print("ready", flush=True)
path = Path(sys.argv[1])
Store.open(path.parent, read_key(path.with_name("key")))
"""


@pytest.mark.parametrize("delay_ms", [0, 2, 4, 8, 12, 16, 24, 40])
def test_a_kill_leaves_the_one_or_the_other(path: Path, delay_ms: int) -> None:
    assert run_and_kill(OPEN, path, delay_s=delay_ms / 1000)[0] == "ready"
    _check(path)


def test_two_that_open_it_at_once_agree(path: Path) -> None:
    command = [sys.executable, "-c", OPEN, str(path)]
    opened = [subprocess.Popen(command, cwd=ROOT, stdout=-3) for _ in range(3)]
    assert [process.wait() for process in opened] == [0, 0, 0]
    _check(path)


def test_a_full_disk_leaves_it_as_it_was(disk: Disk) -> None:
    path = _old(disk.folder / "data")
    disk.fill()
    with pytest.raises(StoreError, match=r"full|reading or writing"):
        Store.open(path.parent, _key(path))
    (disk.folder / "filler").unlink()
    _check(path)
