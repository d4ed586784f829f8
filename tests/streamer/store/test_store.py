"""The store: what was enrolled is there, what was deleted is gone, and nobody else can read it."""

from __future__ import annotations

import base64
import contextlib
import json
import stat
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from enrolled_people import CONSENT, MODEL, NOW, enrol, prototype
from hypothesis import given
from hypothesis import strategies as st
from store_place import Place

from engine.scoring.voiceprints import Prototype
from streamer.store.errors import BadName, NameTaken, OtherModel, StoreError, UnknownSpeaker
from streamer.store.profile import Consent, Profile, clean_name
from streamer.store.store import Store


def sealed(place: Place) -> list[bytes]:
    return [row[0] for row in place.rows("SELECT sealed FROM enrolments ORDER BY person, number")]


def test_what_is_added_is_there_after_reopening(place: Place) -> None:
    with place.open() as store:
        added = enrol(store, "Anna", 1, 2, ttl_s=50.0)
    assert added == Profile(
        "Anna", NOW, NOW + 50, 2, 40.0, MODEL["model_sha256"], "tiny 1", CONSENT
    )
    with place.open() as store:
        assert store.profiles(NOW) == [added] == [store.profile("Anna", NOW)]
        voiceprint = store.voiceprints(MODEL["model_sha256"], NOW)["Anna"]
    assert [p.speech_s for p in voiceprint.prototypes] == [20.0, 20.0]
    for seed, found in enumerate(voiceprint.prototypes, 1):
        np.testing.assert_array_equal(found.embedding, prototype(seed).embedding)
        assert found.embedding.dtype == np.float32


def test_the_files_are_for_their_owner_only(store: Store, place: Place) -> None:
    enrol(store, "Anna")
    files = list(place.folder.iterdir())
    names = {"lock", "people.keys"}
    if place.url is None:
        names |= {"voiceprints.db", "voiceprints.db-shm", "voiceprints.db-wal"}
    assert {file.name for file in files} == names
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(place.folder.stat().st_mode) == 0o700


def test_every_commit_is_synced(sqlite_place: Place) -> None:
    settings = ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
    with sqlite_place.open() as store, store.vault.transaction(changing=False) as database:
        found = [database.exec_driver_sql(f"PRAGMA {name}").scalar() for name in settings]
    assert found == ["wal", 2, 1, 1]


def test_the_same_voice_is_never_sealed_alike(store: Store, place: Place) -> None:
    enrol(store, "Anna", 1, 1)
    enrol(store, "Bert", 1)
    assert len({blob[:12] for blob in sealed(place)}) == len(set(sealed(place))) == 3


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
    with pytest.raises(BadName, match=r"cannot be a name|has 1 to 64 characters") as failure:
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


def test_purging_deletes_those_whose_time_has_run_out(store: Store, place: Place) -> None:
    enrol(store, "Anna", 1, ttl_s=50.0)
    enrol(store, "Bert", 2, ttl_s=60.0)
    assert store.purge(NOW + 49) == 0
    assert store.purge(NOW + 50) == 1
    assert len(sealed(place)) == 1
    assert [profile.name for profile in store.profiles(NOW)] == ["Bert"]


def test_the_version_tells_changes_by_anybody(store: Store, place: Place) -> None:
    seen = [store.version]
    enrol(store, "Anna", ttl_s=50.0)
    seen.append(store.version)
    with place.open() as other:
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


def test_a_damaged_person_is_listed_and_can_be_deleted(store: Store, place: Place) -> None:
    enrol(store, "Anna", 1, 2)
    enrol(store, "Bert", 3)
    place.rows("UPDATE enrolments SET sealed = :spoilt WHERE number = 2", spoilt=b"x")
    assert [profile.name for profile in store.profiles(NOW)] == ["Anna", "Bert"]
    with pytest.raises(StoreError, match="'Anna' was damaged or changed on the disk"):
        store.export("Anna", NOW)
    store.delete("Anna")
    assert [profile.name for profile in store.profiles(NOW)] == ["Bert"]


# Seals


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE enrolments SET sealed = (SELECT sealed FROM enrolments ORDER BY sealed LIMIT 1)",
        "UPDATE enrolments SET number = -number",
        "UPDATE enrolments SET number = 7 WHERE number = 2",
        "DELETE FROM enrolments WHERE number = 1",
        "DELETE FROM enrolments",
        "UPDATE enrolments SET sealed = substr(sealed, 1, 5)",
        "UPDATE enrolments SET sealed = LONGER",
        "UPDATE people SET sealed = LONGER",
        "UPDATE people SET sealed = (SELECT sealed FROM people ORDER BY sealed LIMIT 1)",
    ],
)
def test_rows_cannot_be_exchanged_or_changed(store: Store, place: Place, change: str) -> None:
    enrol(store, "Anna", 1, 2)
    enrol(store, "Bert", 3, 4)
    longer = "CAST(sealed || x'00' AS BLOB)" if place.url is None else r"sealed || '\x00'"
    place.rows(change.replace("LONGER", longer))
    with pytest.raises(StoreError, match="damaged or changed on the disk"):
        store.voiceprints(MODEL["model_sha256"], NOW)


def test_people_cannot_exchange_their_rows(store: Store, place: Place) -> None:
    enrol(store, "Anna", 1)
    enrol(store, "Bert", 2)
    anna, bert = (row[0] for row in place.rows("SELECT person FROM people"))
    if place.url is not None:  # for whom the table's own rules are no hindrance
        place.rows("ALTER TABLE enrolments DROP CONSTRAINT enrolments_person_fkey")
    for table in ("people", "enrolments"):
        for old, new in ((anna, b"x"), (bert, anna), (b"x", bert)):
            place.rows(f"UPDATE {table} SET person = :new WHERE person = :old", new=new, old=old)
    with pytest.raises(StoreError, match="damaged or changed on the disk"):
        store.profiles(NOW)


def test_rows_of_another_store_do_not_fit(tmp_path: Path) -> None:
    blobs = []
    for name in ("a", "b"):
        with Place(tmp_path / name).open() as store:
            enrol(store, "Anna", 1)
        blobs.append(sealed(Place(tmp_path / name))[0])
    Place(tmp_path / "a").rows("UPDATE enrolments SET sealed = :other", other=blobs[1])
    with Place(tmp_path / "a").open() as store, pytest.raises(StoreError, match="damaged"):
        store.voiceprints(MODEL["model_sha256"], NOW)
