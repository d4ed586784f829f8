"""What was killed, or cut off, in the middle of an enrolment or a deletion."""

from __future__ import annotations

import random
from typing import Any

import pytest
from enrolled_people import KEY, NOW, enrol
from killing import Killed, die, run_and_kill
from readable import readable
from store_place import Place, slots

from streamer.store.keys import PERSON_KEYS_FILE
from streamer.store.person_keys import PENDING, PersonKeys
from streamer.store.store import Store

ROUNDS = """
import sys
from pathlib import Path
import numpy as np
from engine.scoring.voiceprints import Prototype
from streamer.store.profile import Consent
from streamer.store.store import Store

folder, database, first = Path(sys.argv[1]), sys.argv[2] or None, int(sys.argv[3])
more = dict(consent=Consent("2026-11", 1.0), model_name="m", model_sha256="ab", ttl_s=None, now=1.0)
voice = [Prototype(np.eye(192, dtype=np.float32)[0], 10.0)]
with Store.open(folder, bytes(range(32)), database=database) as store:
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


def test_kills_lose_nobody_and_bring_nobody_back(place: Place) -> None:
    chance = random.Random(7)
    counts: dict[str, int] = {}  # prototypes that were acknowledged
    gone, doubtful, first = set[str](), set[str](), 0
    wrapped: set[bytes] = set()
    for _ in range(8):
        lines, delay_s = chance.choice([2, 20, 40]), chance.uniform(0, 0.02)
        told = run_and_kill(ROUNDS, *place.arguments, first, lines=lines, delay_s=delay_s)
        for line in told:
            mark, _, name = line.partition(" ")
            counts[name] = counts.get(name, 0) + (mark in "+*")
            doubtful |= {name} if mark == "?" else set()
            gone |= {name} if mark == "-" else set()
        first = 1 + max(int(name.partition("-")[2]) for name in counts) + 1
        wrapped |= slots(place.folder)
        with place.open() as store:
            there = {profile.name: profile.prototypes for profile in store.profiles(NOW)}
        keys = PersonKeys.read(place.folder / PERSON_KEYS_FILE, KEY)
        raw = place.bytes()
        kept = counts.keys() - doubtful
        assert {name: there.get(name, 0) for name in kept} == pytest.approx(
            {name: counts[name] for name in kept}, abs=1
        )
        assert all(there[name] >= counts[name] for name in kept)
        assert not gone & there.keys()
        assert not readable((name.encode() for name in counts), raw)
        assert not keys.with_state(PENDING)
        assert len(keys.people) == len(there)
        assert not readable(wrapped - slots(place.folder), raw)
    assert len(gone) > 8


@pytest.mark.parametrize(
    "where",
    [
        "streamer.store.people.People.insert",
        "streamer.store.person_keys.PersonKeys.confirm",
        "streamer.store.vault.shorten_log",
    ],
)
def test_an_enrolment_that_was_cut_off_is_there_or_not(
    place: Place, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    with place.open() as store:
        enrol(store, "Anna", 1)
    store = place.open()
    with monkeypatch.context() as patch:
        patch.setattr(where, die)
        patch.setattr("streamer.store.people.People.give_up", lambda self: None)
        with pytest.raises(Killed):
            enrol(store, "Bert", 2)
    there = where != "streamer.store.people.People.insert"
    store.close()
    with place.open() as store:
        assert [p.name for p in store.profiles(NOW)] == (["Anna", "Bert"] if there else ["Anna"])
        assert len(slots(place.folder)) == 1 + there
        enrol(store, "Bert", 3, extend=there)


def test_an_enrolment_whose_key_could_not_be_confirmed_is_there(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    with place.open() as store, monkeypatch.context() as patch:
        patch.setattr(PersonKeys, "confirm", fail)
        assert enrol(store, "Anna", 1).name == "Anna"
    assert PersonKeys.read(place.folder / PERSON_KEYS_FILE, KEY).with_state(PENDING)
    with place.open() as store:
        assert [profile.name for profile in store.profiles(NOW)] == ["Anna"]
    assert not PersonKeys.read(place.folder / PERSON_KEYS_FILE, KEY).with_state(PENDING)


def test_a_deletion_that_was_cut_off_is_one(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with place.open() as store:
        enrol(store, "Anna", 1)
        with monkeypatch.context() as patch:
            patch.setattr(Store, "_remove_rows", die)
            with pytest.raises(Killed):
                store.delete("Anna")
        assert not store.profiles(NOW)
    with place.open() as store:
        assert not store.profiles(NOW)
        assert place.rows("SELECT * FROM people") == []
        enrol(store, "Anna", 1)
