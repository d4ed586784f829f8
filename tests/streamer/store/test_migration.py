"""Stores of before are brought over, to today's tables and to PostgreSQL: whole or not at all."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from enrolled_people import NOW, enrol
from killing import Killed, die, run_and_kill
from store_place import Place

from streamer.store.audit import Entry
from streamer.store.backup import restore
from streamer.store.errors import StoreError
from streamer.store.keys import decode, read_key
from streamer.store.rotation import rotate
from streamer.store.store import Store

ROOT = Path(__file__).parents[3]
COMPATIBILITY = ROOT / "tests" / "compatibility"
OLD = COMPATIBILITY / "0.4.0"
ACTS = ["enrol", "enrol", "delete", "backup", "enrol", "export"]


def lay(place: Place, version: str = "0.4.0") -> None:
    """Put the store of an older version there, in SQLite."""
    shutil.copytree(COMPATIBILITY / version / "data", place.folder)
    place.folder.chmod(0o700)
    for file in place.folder.iterdir():
        file.chmod(0o600)


def opened(place: Place, **more: Any) -> Store:
    return place.open(read_key(place.folder / "key"), **more)


def check(place: Place) -> None:
    """Everybody is there as they were, and the store can be changed."""
    with opened(place) as store:
        acts = [entry.act for entry in store.acts()]
        assert acts[:6] == ACTS
        assert ("move" in acts) == (place.url is not None)
        assert store.acts()[2].who == "token desk (1a2b3c4d)"
        assert [profile.name for profile in store.profiles(NOW)] == ["Anna", "Bert"]
        assert store.profile("Bert", NOW).expires_at == NOW + 5000
        assert store.export("Anna", NOW) == json.loads((OLD / "anna.json").read_text())
        enrol(store, "Dora", 5)
        store.delete("Dora")
        assert [entry.act for entry in store.acts()][-2:] == ["enrol", "delete"]


def test_the_store_of_before_is_taken_over(place: Place) -> None:
    lay(place)
    check(place)
    check(place)
    with opened(place) as store:
        rotate(store.vault, Entry(NOW, "somebody", "rotate"))
    check(place)


def test_a_store_of_0_3_1_goes_to_postgresql(postgresql_place: Place) -> None:
    lay(postgresql_place, "0.3.1")
    with opened(postgresql_place) as store:
        expected = json.loads((COMPATIBILITY / "0.3.1" / "anna.json").read_text())
        assert store.export("anna", 1.8e9) == expected
        assert [entry.act for entry in store.acts()] == ["upgrade", "move", "export"]


def test_nothing_is_left_in_sqlite_when_its_store_has_moved(postgresql_place: Place) -> None:
    lay(postgresql_place)
    check(postgresql_place)
    names = {file.name for file in postgresql_place.folder.iterdir()}
    assert names == {"key", "lock", "people.keys", "voiceprints.db"}
    assert Place(postgresql_place.folder).rows("SELECT * FROM sqlite_schema") == []
    with pytest.raises(StoreError, match=r"people.keys is there, but its database .* is not"):
        opened(Place(postgresql_place.folder))
    check(postgresql_place)


def test_what_an_older_program_says_of_it(sqlite_place: Place) -> None:
    """It goes by this number, and reads up to 2."""
    lay(sqlite_place)
    check(sqlite_place)
    assert sqlite_place.rows("PRAGMA user_version") == [(3,)]


@pytest.mark.parametrize(
    "where",
    [
        "streamer.database.moving.Source.mark",
        "streamer.database.migrations.upgrade",
        "streamer.database.moving.copy_rows",
        "streamer.database.moving.Source.remove",
        "streamer.database.moving.Source.close",
        "streamer.store.opening._finish",
    ],
)
def test_an_interruption_leaves_the_one_or_the_other(
    postgresql_place: Place, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    lay(postgresql_place)
    opened(Place(postgresql_place.folder)).close()
    with monkeypatch.context() as patch:
        patch.setattr(where, die)
        with pytest.raises(Killed):
            opened(postgresql_place)
    check(postgresql_place)


OPEN = """
import sys
from pathlib import Path
from streamer.store.keys import decode, read_key
from streamer.store.store import Store

print("ready", flush=True)
folder, database = Path(sys.argv[1]), sys.argv[2] or None
Store.open(folder, read_key(folder / "key"), database=database, busy_s=30).close()
"""


@pytest.mark.parametrize("delay_ms", [0, 50, 100, 150, 200, 300])
def test_a_kill_leaves_the_one_or_the_other(place: Place, delay_ms: int) -> None:
    lay(place)
    assert run_and_kill(OPEN, *place.arguments, delay_s=delay_ms / 1000)[0] == "ready"
    check(place)


def test_processes_that_open_it_at_once_agree(place: Place) -> None:
    lay(place)
    command = [sys.executable, "-c", OPEN, *place.arguments]
    opening = [subprocess.Popen(command, cwd=ROOT, stdout=-3) for _ in range(3)]
    assert [process.wait() for process in opening] == [0, 0, 0]
    check(place)


def test_a_backup_of_before_is_restored(place: Place) -> None:
    key = decode((OLD / "data" / "key").read_text().strip(), "key")
    with place.open() as store:
        enrol(store, "Emil", 6)
        done = restore(store.vault, OLD / "monday.backup", key, Entry(NOW, "somebody", "restore"))
        assert done == (1, 0)
        assert store.export("Anna", NOW) == json.loads((OLD / "anna.json").read_text())
