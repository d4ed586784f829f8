"""The store: what was enrolled is there, what was deleted is gone, and nobody else can read it."""

# Long: one file for one class; the last part is what a crash or a second process does to it.

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import sqlite3
import stat
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from enrolled_people import CONSENT, KEY, MODEL, NOW, enrol, prototype
from hypothesis import given
from hypothesis import strategies as st
from killing import run_and_kill

from engine.scoring.voiceprints import Prototype
from streamer.store.errors import BadName, NameTaken, OtherModel, StoreError, UnknownSpeaker
from streamer.store.profile import Consent, Profile, clean_name
from streamer.store.store import Store

ROOT = Path(__file__).parents[3]
NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "voiceprints.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path, KEY, busy_s=0.05) as opened:
        yield opened


def rows(path: Path, query: str, *values: Any) -> list[Any]:
    """What another program reads from or does to the database."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        return database.execute(query, values).fetchall()


def sealed(path: Path) -> list[bytes]:
    return [row[0] for row in rows(path, "SELECT sealed FROM enrolments ORDER BY rowid")]


def all_bytes(path: Path) -> bytes:
    """The database with its log and whatever else SQLite keeps beside it."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))


def test_what_is_added_is_there_after_reopening(path: Path) -> None:
    with Store.open(path, KEY) as store:
        added = enrol(store, "Anna", 1, 2, ttl_s=50.0)
    assert added == Profile(
        "Anna", NOW, NOW + 50, 2, 40.0, MODEL["model_sha256"], "tiny 1", CONSENT
    )
    with Store.open(path, KEY) as store:
        assert store.profiles(NOW) == [added] == [store.profile("Anna", NOW)]
        voiceprint = store.voiceprints(MODEL["model_sha256"], NOW)["Anna"]
    assert [p.speech_s for p in voiceprint.prototypes] == [20.0, 20.0]
    for seed, found in enumerate(voiceprint.prototypes, 1):
        np.testing.assert_array_equal(found.embedding, prototype(seed).embedding)
        assert found.embedding.dtype == np.float32


def test_the_files_are_for_their_owner_only(store: Store, path: Path) -> None:
    enrol(store, "Anna")
    files = list(path.parent.iterdir())
    names = {"lock", "people.keys", "voiceprints.db", "voiceprints.db-shm", "voiceprints.db-wal"}
    assert {file.name for file in files} == names
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_every_commit_is_synced(store: Store) -> None:
    settings = ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
    found = [store.vault.database.execute(f"PRAGMA {name}").fetchone()[0] for name in settings]
    assert found == ["wal", 2, 1, 1]


def test_no_embedding_is_readable_in_the_files(store: Store, path: Path) -> None:
    enrol(store, "Anna", 1)
    content = all_bytes(path)
    assert b"Anna" not in content
    assert prototype(1).embedding.tobytes()[:16] not in content


def test_the_same_voice_is_never_sealed_alike(store: Store, path: Path) -> None:
    enrol(store, "Anna", 1, 1)
    enrol(store, "Bert", 1)
    assert len({blob[:12] for blob in sealed(path)}) == len(set(sealed(path))) == 3


# Names


@pytest.mark.parametrize("name", ["anna", "ANNA", "Ánna", "a n n a", "安娜", "x" * 64, "-'\"%_;"])
def test_names_of_all_kinds(store: Store, name: str) -> None:
    enrol(store, "Anna")
    assert enrol(store, name).name == name
    assert set(store.voiceprints(MODEL["model_sha256"], NOW, [name])) == {name}


@pytest.mark.parametrize(
    "name", ["", "  ", "a,b", "x" * 65, "a\nb", "a\x00b", "a\u202eb", "\ud800", "a\u2028b"]
)
def test_names_that_nobody_can_have(store: Store, name: str) -> None:
    with pytest.raises(BadName, match="1 to 64 printable characters") as failure:
        enrol(store, name)
    assert str(failure.value).isprintable()
    with pytest.raises(UnknownSpeaker):
        store.profile(name, NOW)


def test_a_name_is_the_same_however_it_is_written(store: Store) -> None:
    composed, decomposed = "Zoë", unicodedata.normalize("NFD", "Zoë")
    assert composed != decomposed
    assert enrol(store, f" {decomposed}\t").name == composed
    with pytest.raises(NameTaken, match="'Zoë' is enrolled already"):
        enrol(store, composed)
    assert store.profile(decomposed, NOW).name == composed


@given(st.text())
def test_a_clean_name_stays_as_it_is(text: str) -> None:
    with contextlib.suppress(BadName):
        name = clean_name(text)
        assert clean_name(name) == name
        assert 1 <= len(name) <= 64
        assert name.isprintable()
        assert "," not in name


def test_unknown_names_are_told(store: Store) -> None:
    enrol(store, "Anna")
    for ask in (
        lambda: store.profile("anna", NOW),
        lambda: store.export("Bert", NOW),
        lambda: store.delete("Bert"),
        lambda: store.voiceprints(MODEL["model_sha256"], NOW, ["Anna", "Bert"]),
        lambda: enrol(store, "Bert", extend=True),
    ):
        with pytest.raises(UnknownSpeaker, match="is not enrolled"):
            ask()
    assert [profile.name for profile in store.profiles(NOW)] == ["Anna"]


def test_no_voiceprint_shows(store: Store) -> None:
    enrol(store, "Anna", 1)
    voiceprint = store.voiceprints(MODEL["model_sha256"], NOW)["Anna"]
    number = f"{voiceprint.prototypes[0].embedding[0]:.6f}"
    shown = repr(voiceprint) + repr(store) + repr(store.profile("Anna", NOW)) + repr(store.vault)
    assert "Anna" in shown
    assert number[:6] not in shown


# Enrolling again, other models, time-to-live


def test_extending_adds_prototypes_and_consent(store: Store) -> None:
    enrol(store, "Anna", 1, ttl_s=50.0)
    later = Consent("2027-01", NOW + 9)
    extended = enrol(store, "Anna", 2, extend=True, now=NOW + 10, consent=later)
    assert (extended.prototypes, extended.net_speech_s) == (2, 40.0)
    assert (extended.created_at, extended.expires_at) == (NOW, NOW + 50)
    assert extended.consent == later
    exported = store.export("Anna", NOW)["prototypes"]
    assert [part["consent"]["text_version"] for part in exported] == ["2026-11", "2027-01"]
    assert enrol(store, "Anna", 3, extend=True, ttl_s=70.0).expires_at == NOW + 70


def test_another_models_voiceprint_must_be_enrolled_again(store: Store) -> None:
    enrol(store, "Anna", 1)
    enrol(store, "Bert", 2, model_sha256="cd" * 32, model_name="large 2")
    assert set(store.voiceprints(MODEL["model_sha256"], NOW)) == {"Anna"}
    with pytest.raises(OtherModel, match=r"another model \(large 2\).*enrol again"):
        store.voiceprints(MODEL["model_sha256"], NOW, ["Anna", "Bert"])
    with pytest.raises(OtherModel):
        enrol(store, "Bert", 3, extend=True)


def test_when_its_time_has_run_out_a_voiceprint_is_not_there(store: Store) -> None:
    enrol(store, "Anna", ttl_s=50.0)
    enrol(store, "Bert")
    assert len(store.profiles(NOW + 49.9)) == 2
    assert [profile.name for profile in store.profiles(NOW + 50)] == ["Bert"]
    assert set(store.voiceprints(MODEL["model_sha256"], NOW + 50)) == {"Bert"}
    with pytest.raises(UnknownSpeaker):
        store.export("Anna", NOW + 50)
    assert enrol(store, "Anna", now=NOW + 50).created_at == NOW + 50


def test_purging_deletes_those_whose_time_has_run_out(store: Store, path: Path) -> None:
    enrol(store, "Anna", 1, ttl_s=50.0)
    enrol(store, "Bert", 2, ttl_s=60.0)
    assert store.purge(NOW + 49) == 0
    assert store.purge(NOW + 50) == 1
    assert len(sealed(path)) == 1
    assert [profile.name for profile in store.profiles(NOW)] == ["Bert"]


def test_the_version_tells_changes_by_anybody(store: Store, path: Path) -> None:
    seen = [store.version]
    enrol(store, "Anna", ttl_s=50.0)
    seen.append(store.version)
    with Store.open(path, KEY) as other:
        enrol(other, "Bert")
    seen.append(store.version)
    store.delete("Bert")
    seen.append(store.version)
    store.purge(NOW + 50)
    seen.append(store.version)
    assert seen == sorted(set(seen))
    store.profiles(NOW)
    store.purge(NOW + 99)
    with pytest.raises(NameTaken):
        enrol(store, "Carl") and enrol(store, "Carl")
    assert store.version > seen[-1]


def test_what_is_no_voiceprint_is_refused_whole(store: Store) -> None:
    good = prototype(1)
    bad = Prototype(np.full(192, np.nan, np.float32), 20.0)
    for prototypes in ([], [good, bad], [Prototype(np.zeros((2, 2), np.float32), 1.0)]):
        with pytest.raises(ValueError, match=r"prototype|finite vector"):
            store.add("Anna", prototypes, consent=CONSENT, ttl_s=None, now=NOW, **MODEL)
    assert not store.profiles(NOW)


# Export and deletion


def test_an_export_holds_everything_and_is_json(store: Store) -> None:
    enrol(store, "Anna", 1, 2, ttl_s=50.0)
    exported = json.loads(json.dumps(store.export("Anna", NOW)))
    parts = exported.pop("prototypes")
    assert exported == {
        "format": 1,
        "name": "Anna",
        "created_at": NOW,
        "expires_at": NOW + 50,
        "model": {"name": "tiny 1", "sha256": MODEL["model_sha256"]},
    }
    for seed, part in enumerate(parts, 1):
        embedding = np.frombuffer(base64.b64decode(part.pop("embedding")), "<f4")
        np.testing.assert_array_equal(embedding, prototype(seed).embedding)
        assert part == {
            "added_at": NOW,
            "net_speech_s": 20.0,
            "dimensions": 192,
            "consent": {"text_version": "2026-11", "given_at": 900.0},
        }


def test_a_damaged_person_is_listed_and_can_be_deleted(store: Store, path: Path) -> None:
    enrol(store, "Anna", 1, 2)
    enrol(store, "Bert", 3)
    rows(path, "UPDATE enrolments SET sealed = x'00' WHERE rowid = 2")
    assert [profile.name for profile in store.profiles(NOW)] == ["Anna", "Bert"]
    with pytest.raises(StoreError, match="'Anna' was damaged or changed on the disk"):
        store.export("Anna", NOW)
    store.delete("Anna")
    assert [profile.name for profile in store.profiles(NOW)] == ["Bert"]


# Seals


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE enrolments SET sealed = (SELECT sealed FROM enrolments ORDER BY rowid DESC)",
        "UPDATE enrolments SET number = -number",
        "UPDATE enrolments SET number = 7 WHERE number = 2",
        "DELETE FROM enrolments WHERE number = 1",
        "DELETE FROM enrolments",
        "UPDATE enrolments SET sealed = substr(sealed, 1, 5)",
        "UPDATE enrolments SET sealed = CAST(sealed || x'00' AS BLOB)",
        "UPDATE people SET sealed = CAST(sealed || x'00' AS BLOB)",
        "UPDATE people SET sealed = (SELECT sealed FROM people ORDER BY rowid DESC)",
    ],
)
def test_rows_cannot_be_exchanged_or_changed(store: Store, path: Path, change: str) -> None:
    enrol(store, "Anna", 1, 2)
    enrol(store, "Bert", 3, 4)
    rows(path, change)
    with pytest.raises(StoreError, match="damaged or changed on the disk"):
        store.voiceprints(MODEL["model_sha256"], NOW)


def test_people_cannot_exchange_their_rows(store: Store, path: Path) -> None:
    enrol(store, "Anna", 1)
    enrol(store, "Bert", 2)
    anna, bert = (row[0] for row in rows(path, "SELECT person FROM people ORDER BY rowid"))
    for table in ("people", "enrolments"):
        for old, new in ((anna, b"x"), (bert, anna), (b"x", bert)):
            rows(path, f"UPDATE {table} SET person = ? WHERE person = ?", new, old)
    with pytest.raises(StoreError, match="damaged or changed on the disk"):
        store.profiles(NOW)


def test_rows_of_another_store_do_not_fit(tmp_path: Path) -> None:
    blobs = []
    for name in ("a", "b"):
        with Store.open(tmp_path / name / "db", KEY) as store:
            enrol(store, "Anna", 1)
        blobs.append(sealed(tmp_path / name / "db")[0])
    rows(tmp_path / "a" / "db", "UPDATE enrolments SET sealed = ?", blobs[1])
    with (
        Store.open(tmp_path / "a" / "db", KEY) as store,
        pytest.raises(StoreError, match="damaged"),
    ):
        store.voiceprints(MODEL["model_sha256"], NOW)


# What goes wrong


def test_a_wrong_key_is_told_at_once(path: Path) -> None:
    Store.open(path, KEY).close()
    with pytest.raises(StoreError, match=r"this key is not the one the store .* was made with"):
        Store.open(path, KEY[::-1])
    with pytest.raises(ValueError, match="32 bytes"):
        Store.open(path, KEY[:16])
    Store.open(path, KEY).close()


@pytest.mark.parametrize("content", [b"not a database, but long enough to be one" * 200, b"PK"])
def test_a_file_that_is_no_store_is_told_and_left(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is not a store of voiceprints"):
        Store.open(path, KEY)
    assert path.read_bytes() == content


def test_another_programs_database_is_told_and_left(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    rows(path, "CREATE TABLE profiles (id)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="database of another program"):
        Store.open(path, KEY)
    assert path.read_bytes() == before


def test_a_newer_store_is_told(path: Path) -> None:
    Store.open(path, KEY).close()
    rows(path, "PRAGMA user_version = 3")
    with pytest.raises(StoreError, match=r"another version of voxwatch \(store version 3"):
        Store.open(path, KEY)


def _many(path: Path) -> None:
    with Store.open(path, KEY) as store:
        for seed in range(20):
            enrol(store, f"speaker {seed}", seed)


@pytest.mark.parametrize("page", range(1, 6))
def test_a_damaged_store_is_told(path: Path, page: int) -> None:
    _many(path)
    content = bytearray(path.read_bytes())
    content[4096 * page : 4096 * page + 2000] = b"\x5a" * 2000
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"is damaged: restore it|is not a store"):
        Store.open(path, KEY)


def test_a_store_cut_short_is_told(path: Path) -> None:
    _many(path)
    path.write_bytes(path.read_bytes()[: 3 * 4096])
    with pytest.raises(StoreError, match="is damaged: restore it"):
        Store.open(path, KEY)


def test_a_folder_instead_of_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Is a directory"):
        Store.open(tmp_path, KEY)


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
        Store.open(read_only / "voiceprints.db", KEY)


def test_a_locked_store_is_told_after_a_while(store: Store, path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"another program keeps the store .* locked"):
            enrol(store, "Anna")
        assert store.profiles(NOW) == []
    assert enrol(store, "Anna").name == "Anna"


def test_a_full_disk_is_told_and_loses_nothing(store: Store) -> None:
    """SQLite's own limit on the file stands for the disk's."""
    enrol(store, "Anna")
    pages = store.vault.database.execute("PRAGMA page_count").fetchone()[0]
    store.vault.database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="the disk is full"):
        enrol(store, "Bert", *range(50))
    assert [profile.name for profile in store.profiles(NOW)] == ["Anna"]
    store.vault.database.execute("PRAGMA max_page_count = 100000")
    assert enrol(store, "Bert", *range(50)).prototypes == 50


def test_a_disk_that_takes_no_more_is_told(path: Path) -> None:
    """The system itself refuses the write, in the midst of a transaction."""
    limit_bytes = 300_000
    command = [sys.executable, "-c", ADDING, path, KEY.hex(), "0", str(limit_bytes)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "StoreError: reading or writing the store" in done.stderr.splitlines()[-1]
    names = done.stdout.split()
    assert len(names) > 5
    with Store.open(path, KEY) as store:
        assert {profile.name for profile in store.profiles(NOW)} == set(names)


def test_a_closed_store_says_so(path: Path) -> None:
    store = Store.open(path, KEY)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.profiles(NOW)


# Threads, processes, kill -9


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


def test_writers_that_share_a_file_wait_for_one_another(path: Path) -> None:
    """As two processes do: each has its own connection."""
    failures: list[BaseException] = []
    together = threading.Barrier(4)

    def work(number: int) -> None:
        try:
            with Store.open(path, KEY) as store:
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
    with Store.open(path, KEY) as store:
        assert len(store.profiles(NOW)) == 60


ADDING = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from engine.scoring.voiceprints import Prototype
from streamer.store.profile import Consent
from streamer.store.store import Store

path, key = Path(sys.argv[1]), bytes.fromhex(sys.argv[2])
first, limit_bytes = map(int, sys.argv[3:])
if limit_bytes:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error instead of the end of the process
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
embedding = np.eye(192, dtype=np.float32)
with Store.open(path, key) as store:
    for number in range(first, 100_000):
        name = f"speaker-{number}"
        store.add(
            name, [Prototype(embedding[number % 192], 10.0), Prototype(embedding[0], 5.0)],
            consent=Consent("2026-11", 1.0), model_name="m", model_sha256="ab", ttl_s=None, now=1.0,
        )
        print(name, flush=True)
"""


def test_a_kill_loses_no_finished_enrolment(path: Path) -> None:
    chance = random.Random(5)
    finished: list[str] = []
    for _ in range(6):
        names = chance.choice([0, 3, 9])  # 0: while it starts and makes the store, perhaps
        delay_s = chance.uniform(0, 0.02 if names else 0.6)
        first = 1 + int(finished[-1].partition("-")[2]) + 1 if finished else 0
        finished += run_and_kill(ADDING, path, KEY.hex(), first, 0, lines=names, delay_s=delay_s)
        if not path.exists():
            continue
        with Store.open(path, KEY) as store:
            there = {profile.name: profile for profile in store.profiles(NOW)}
            voices = store.voiceprints("ab", NOW)
        assert set(finished) <= set(there) == set(voices)
        assert len(there) <= len(finished) + 6  # one a round may be there that was not told
        for name, profile in there.items():
            number = int(name.partition("-")[2])
            assert (profile.prototypes, profile.net_speech_s) == (2, 15.0)
            assert voices[name].prototypes[0].embedding[number % 192] == 1.0
    assert len(finished) > 10
