"""What goes wrong with a store: its files, its disk, others at the same time, a kill."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from enrolled_people import KEY, MODEL, NOW, enrol
from killing import run_and_kill
from sqlalchemy import text
from store_place import Place

from streamer.database import open_database, writing
from streamer.store.errors import StoreError
from streamer.store.keys import STORE_FILE, has_store
from streamer.store.store import Store

ROOT = Path(__file__).parents[3]
NOBODY = 65534


def test_a_wrong_key_is_told_at_once(place: Place) -> None:
    place.open().close()
    with pytest.raises(StoreError, match=r"this key is not the one the store .* was made with"):
        place.open(KEY[::-1])
    with pytest.raises(ValueError, match="32 bytes"):
        place.open(KEY[:16])
    place.open().close()


@pytest.mark.parametrize("content", [b"not a database, but long enough to be one" * 200, b"PK"])
def test_a_file_that_is_no_store_is_told_and_left(tmp_path: Path, content: bytes) -> None:
    path = Place(tmp_path).file
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is not a store of voiceprints"):
        Place(tmp_path).open()
    assert path.read_bytes() == content


def test_another_programs_database_is_told_and_left(tmp_path: Path) -> None:
    path = Place(tmp_path).file
    Place(tmp_path).rows("CREATE TABLE profiles (id)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="database of another program"):
        Place(tmp_path).open()
    assert path.read_bytes() == before


def test_a_newer_store_is_told(place: Place) -> None:
    place.open().close()
    place.rows("UPDATE store_revision SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"another version of voxwatch \(revision 9999"):
        place.open()


def _many(place: Place) -> None:
    with place.open() as store:
        for seed in range(20):
            enrol(store, f"speaker {seed}", seed)


@pytest.mark.parametrize("page", range(1, 6))
def test_a_damaged_store_is_told(sqlite_place: Place, page: int) -> None:
    _many(sqlite_place)
    content = bytearray(sqlite_place.file.read_bytes())
    content[4096 * page : 4096 * page + 2000] = b"\x5a" * 2000
    sqlite_place.file.write_bytes(content)
    with pytest.raises(StoreError, match=r"is damaged: restore it|is not a store"):
        sqlite_place.open()


def test_a_store_cut_short_is_told(sqlite_place: Place) -> None:
    _many(sqlite_place)
    sqlite_place.file.write_bytes(sqlite_place.file.read_bytes()[: 3 * 4096])
    with pytest.raises(StoreError, match="is damaged: restore it"):
        sqlite_place.open()


def test_a_folder_instead_of_a_file_is_told(tmp_path: Path) -> None:
    Place(tmp_path).file.mkdir()
    with pytest.raises(StoreError, match="Is a directory"):
        Place(tmp_path).open()


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody may write: root may, and is somebody else for a while."""
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    modes = {place: stat.S_IMODE(place.stat().st_mode) for place in folder.parents}
    modes = {place: mode for place, mode in modes.items() if not mode & stat.S_IXOTH}
    root = os.geteuid() == 0
    if root:
        for place, mode in modes.items():
            place.chmod(mode | stat.S_IXOTH)
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
            for place, mode in modes.items():
                place.chmod(mode)


def test_a_folder_that_cannot_be_written_is_told(read_only: Path) -> None:
    with pytest.raises(StoreError, match="Permission denied; check the path and its permissions"):
        Place(read_only).open()


def test_a_locked_store_is_told_after_a_while(store: Store, place: Place) -> None:
    engine = open_database(place.url, place.folder, STORE_FILE)
    with writing(engine) as other:
        if place.url is not None:
            other.execute(text("LOCK TABLE store IN EXCLUSIVE MODE"))
        with pytest.raises(StoreError, match=r"another program keeps the store .* locked"):
            enrol(store, "Anna")
        assert store.profiles(NOW) == []
    engine.dispose()
    assert enrol(store, "Anna").name == "Anna"


def test_a_full_disk_is_told_and_loses_nothing(sqlite_place: Place) -> None:
    """SQLite's own limit on the file stands for the disk's."""
    with sqlite_place.open() as store:
        enrol(store, "Anna")
        with store.vault.transaction() as database:
            pages = database.exec_driver_sql("PRAGMA page_count").scalar()
            database.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="the disk is full"):
            enrol(store, "Bert", *range(50))
        assert [profile.name for profile in store.profiles(NOW)] == ["Anna"]
        with store.vault.transaction() as database:
            database.exec_driver_sql("PRAGMA max_page_count = 100000")
        assert enrol(store, "Bert", *range(50)).prototypes == 50


def test_a_disk_that_takes_no_more_is_told(sqlite_place: Place) -> None:
    """The system itself refuses the write, in the midst of a transaction."""
    limit_bytes = 300_000
    command = [sys.executable, "-c", ADDING, *sqlite_place.arguments, "0", str(limit_bytes)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "StoreError: reading or writing the store" in done.stderr.splitlines()[-1]
    names = done.stdout.split()
    assert len(names) > 5
    with sqlite_place.open() as store:
        assert {profile.name for profile in store.profiles(NOW)} == set(names)


def test_a_closed_store_says_so(place: Place) -> None:
    store = place.open()
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.profiles(NOW)


def test_threads_share_a_store(store: Store) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(5):
                enrol(store, f"{number}-{i}", number)
                store.voiceprints(MODEL["model_sha256"], NOW)
                if i % 2:
                    store.delete(f"{number}-{i}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(store.profiles(NOW)) == 6 * 3


def test_writers_that_share_a_file_wait_for_one_another(place: Place) -> None:
    """As two processes do: each has its own connection."""
    failures: list[BaseException] = []
    together = threading.Barrier(4)

    def work(number: int) -> None:
        try:
            with place.open() as store:
                together.wait()
                for i in range(15):
                    enrol(store, f"{number}-{i}", number)
        except BaseException as error:
            failures.append(error)
            together.abort()  # or the others would wait for this one for ever

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with place.open() as store:
        assert len(store.profiles(NOW)) == 60


ADDING = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from engine.scoring.voiceprints import Prototype
from streamer.store.profile import Consent
from streamer.store.store import Store

folder, database = Path(sys.argv[1]), sys.argv[2] or None
first, limit_bytes = map(int, sys.argv[3:])
if limit_bytes:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error instead of the end of the process
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
embedding = np.eye(192, dtype=np.float32)
with Store.open(folder, bytes(range(32)), database=database) as store:
    for number in range(first, 100_000):
        name = f"speaker-{number}"
        store.add(
            name, [Prototype(embedding[number % 192], 10.0), Prototype(embedding[0], 5.0)],
            consent=Consent("2026-11", 1.0), model_name="m", model_sha256="ab", ttl_s=None, now=1.0,
        )
        print(name, flush=True)
"""


def test_a_kill_loses_no_finished_enrolment(place: Place) -> None:
    chance = random.Random(5)
    finished: list[str] = []
    for _ in range(6):
        names = chance.choice([0, 3, 9])  # 0: while it starts and makes the store, perhaps
        delay_s = chance.uniform(0, 0.02 if names else 0.6)
        first = 1 + int(finished[-1].partition("-")[2]) + 1 if finished else 0
        finished += run_and_kill(ADDING, *place.arguments, first, 0, lines=names, delay_s=delay_s)
        if not has_store(place.folder):
            continue
        with place.open() as store:
            there = {profile.name: profile for profile in store.profiles(NOW)}
            voices = store.voiceprints("ab", NOW)
        assert set(finished) <= set(there) == set(voices)
        assert len(there) <= len(finished) + 6  # one a round may be there that was not told
        for name, profile in there.items():
            number = int(name.partition("-")[2])
            assert (profile.prototypes, profile.net_speech_s) == (2, 15.0)
            assert voices[name].prototypes[0].embedding[number % 192] == 1.0
    assert len(finished) > 10
