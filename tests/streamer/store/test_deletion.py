"""Deletion for good: what is left anywhere cannot be read, with the store's key at hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from enrolled_people import KEY, MODEL, NOW, Disk, enrol, prototype
from postgresql import Cluster
from readable import readable
from sqlalchemy import text
from store_place import Place, slots

from streamer.database import open_database, reading
from streamer.store import shred
from streamer.store.errors import StoreError, UnknownSpeaker
from streamer.store.keys import PERSON_KEYS_FILE, STORE_FILE
from streamer.store.opening import erase
from streamer.store.person_keys import PersonKeys

ROOT = Path(__file__).parents[3]


def shows(raw: bytes, name: str, *seeds: int) -> bool:
    """Whether a name or an embedding can be read, in any of the forms that it could have."""
    texts = [name.encode(form) for form in ("utf-8", "utf-16-le")]
    embeddings = [prototype(seed).embedding.tobytes()[:16] for seed in seeds]
    return bool(readable(texts + embeddings, raw))


def test_what_chance_puts_among_encrypted_bytes_is_not_looked_for() -> None:
    with pytest.raises(ValueError, match="too short"):
        readable([b"Anna Karenina", b"Anna"], b"")


def test_neither_name_nor_voice_can_be_read_in_the_files(place: Place) -> None:
    with place.open() as store:
        enrol(store, "Anna Karenina", 1, 2)
        assert not shows(place.bytes(), "Anna Karenina", 1, 2)
    assert not shows(place.bytes(), "Anna Karenina", 1, 2)


def test_with_the_person_goes_the_key(place: Place) -> None:
    with place.open() as store:
        enrol(store, "Bert", 2)
        (bert,) = slots(place.folder)
        enrol(store, "Anna Karenina", 1)
        (anna,) = slots(place.folder) - {bert}
        store.delete("Anna Karenina")
        assert anna not in place.bytes()
        assert slots(place.folder) == {bert}
        keys = PersonKeys.read(place.folder / PERSON_KEYS_FILE, KEY)
        assert keys.find("Anna Karenina") is None
        assert keys.find("Bert") is not None


def test_a_copy_of_the_rows_cannot_be_opened_with_the_keys_that_are_left(
    sqlite_place: Place,
) -> None:
    """Somebody kept database and log of the moment before, and has the store's key."""
    place = sqlite_place
    with place.open() as store:
        enrol(store, "Anna", 1)
        enrol(store, "Bert", 2)
        kept = {f: f.read_bytes() for f in place.folder.glob("voiceprints.db*")}
        store.delete("Anna")
    for file, content in kept.items():
        file.write_bytes(content)
    check_that_anna_is_gone(place)


def test_rows_that_come_back_are_of_no_use(place: Place) -> None:
    """As from a copy of the database alone."""
    with place.open() as store:
        enrol(store, "Anna", 1)
        enrol(store, "Bert", 2)
        people = place.rows("SELECT person, sealed FROM people")
        enrolments = place.rows("SELECT person, sealed FROM enrolments")
        store.delete("Anna")
    place.rows("DELETE FROM people")
    place.rows("DELETE FROM enrolments")
    for person, sealed in people:
        place.rows("INSERT INTO people VALUES (:person, :sealed)", person=person, sealed=sealed)
    for person, sealed in enrolments:
        new = "INSERT INTO enrolments VALUES (:person, 1, :sealed)"
        place.rows(new, person=person, sealed=sealed)
    check_that_anna_is_gone(place)


def check_that_anna_is_gone(place: Place) -> None:
    with place.open() as store:
        assert [profile.name for profile in store.profiles(NOW)] == ["Bert"]
        assert [(e.act, e.person[:8]) for e in store.acts()][-1] == ("delete", "(deleted")


def test_a_reader_does_not_hinder_it(place: Place) -> None:
    with place.open(busy_s=3600) as store:  # to wait for it would take that long
        enrol(store, "Anna", 1)
        (anna,) = slots(place.folder)
        engine = open_database(place.url, place.folder, STORE_FILE)
        with reading(engine) as reader:
            reader.execute(text("SELECT * FROM people")).all()
            store.delete("Anna")
            assert anna not in place.bytes()
            assert not store.profiles(NOW)
        engine.dispose()


def test_one_who_comes_back_has_another_key(place: Place) -> None:
    with place.open() as store:
        enrol(store, "Anna", 1)
        first = slots(place.folder)
        store.delete("Anna")
        enrol(store, "Anna", 1)
        assert not slots(place.folder) & first


def test_nothing_is_left_on_the_drive(disk: Disk) -> None:
    folder = disk.folder / "data"
    gone: set[bytes] = set()
    with Place(folder).open() as store:
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
    place = Place(folder)
    with place.open() as store:
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
    with place.open() as store:
        kept = {profile.name for profile in store.profiles(NOW)}
        assert kept == {name for name in there if int(name.partition("-")[2]) >= 40}
        assert len(place.rows("SELECT * FROM people")) == len(kept)


def test_a_person_of_a_store_that_cannot_be_opened_can_be_deleted(place: Place) -> None:
    with place.open() as store:
        enrol(store, "Anna", 1)
        enrol(store, "Bert", 2)
    if place.url is None:
        whole = place.file.read_bytes()
        place.file.write_bytes(b"spoilt" * 1000)
    with pytest.raises(UnknownSpeaker):
        erase(place.folder, KEY, "Carl", busy_s=1.0)
    with pytest.raises(StoreError, match="this key is not the one"):
        erase(place.folder, KEY[::-1], "Anna", busy_s=1.0)
    erase(place.folder, KEY, "Anna", busy_s=1.0)
    if place.url is None:
        place.file.write_bytes(whole)
    with place.open() as store:
        assert [profile.name for profile in store.profiles(NOW)] == ["Bert"]


@pytest.mark.parametrize(
    ("who", "told"),
    [
        ("token desk (1a2b3c4d)", "token desk (1a2b3c4d)"),
        ("token " + "ж" * 64 + " (1a2b3c4d)", "ж (1a2b3c4d)"),
    ],
)
def test_who_deleted_is_told_though_the_database_took_nothing(
    place: Place, who: str, told: str
) -> None:
    with place.open() as store:
        enrol(store, "Anna", 1)
        enrol(store, "Bert", 2)
        with place.unreachable(store):
            store.delete("Anna", who=who)
    with place.open() as store:
        enrol(store, "Carl", 3)
        (entry,) = [entry for entry in store.acts() if entry.act == "delete"]
        assert entry.who.startswith("token ")
        assert entry.who.endswith(told)
        assert abs(entry.at - store.now()) < 600


def test_an_open_store_whose_database_is_not_to_be_reached_deletes(place: Place) -> None:
    with place.open() as store:
        enrol(store, "Anna", 1)
        with place.unreachable(store):
            store.delete("Anna")
            assert not slots(place.folder)
            with pytest.raises(StoreError, match="gone"):
                store.profiles(NOW)
        assert not store.profiles(NOW)


def test_a_server_of_postgresql_that_stopped_hinders_no_deletion(
    postgresql_place: Place, cluster: Cluster
) -> None:
    with postgresql_place.open() as store:
        enrol(store, "Anna", 1)
        enrol(store, "Bert", 2)
        cluster.stop()
        try:
            store.delete("Anna")
            with pytest.raises(StoreError, match="check that the server runs"):
                store.profiles(NOW)
        finally:
            cluster.start()
        assert [profile.name for profile in store.profiles(NOW)] == ["Bert"]
        assert [entry.act for entry in store.acts()] == ["enrol", "enrol"]
        enrol(store, "Carl", 3)
        assert [entry.act for entry in store.acts()] == ["enrol", "enrol", "delete", "enrol"]
        assert len(postgresql_place.rows("SELECT * FROM people")) == 2


def test_on_a_disk_that_is_read_only_it_is_said_and_nothing_is_gone(disk: Disk) -> None:
    with Place(disk.folder).open() as store:
        enrol(store, "Anna", 1)
        disk.remount("abort")  # as ext4 does when the drive fails
        for write in (lambda: store.delete("Anna"), lambda: enrol(store, "Bert")):
            with pytest.raises(StoreError, match=r"cannot (read or )?write"):
                write()
        assert [profile.name for profile in store.profiles(NOW)] == ["Anna"]
        assert store.voiceprints(MODEL["model_sha256"], NOW, ["Anna"])


# The files themselves


def test_more_people_than_the_file_of_keys_has_room_for(place: Place) -> None:
    with place.open() as store:
        for number in range(70):
            enrol(store, f"Karenina-{number}", number)
        for number in range(0, 70, 2):
            store.delete(f"Karenina-{number}")
    with place.open() as store:
        assert len(store.profiles(NOW)) == len(slots(place.folder)) == 35


def test_everybody_may_write_to_the_folder(place: Place) -> None:
    place.folder.mkdir()
    place.folder.chmod(0o777)
    with pytest.raises(StoreError, match=r"everybody may write to .*chmod 700"):
        place.open()


def test_a_shredded_file_is_overwritten_where_it_lay(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"secret" * 300_000)
    other.hardlink_to(path)
    shred.shred(path)
    assert not path.exists()
    assert len(other.read_bytes()) == 1_800_000
    assert b"secret" not in other.read_bytes()
