"""What is locked, and while what is waited for: of exams, records and the store's keys."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lock_order import LockOrder
from sqlalchemy import Engine

from streamer.database import open_database, reading, writing
from streamer.exams.book import Exams
from streamer.exams.errors import ExamError
from streamer.exams.exam import Entry, Exam
from streamer.exams.opening import RECORDS_FILE
from streamer.store.errors import StoreError
from streamer.store.folder_lock import FolderLock
from streamer.store.person_keys import PersonKeys
from streamer.store.store import Store
from tests.streamer.exams.conftest import NOW

ANNA, BEN = Entry(candidate="4711", name="Anna Meier"), Entry(candidate="4712", name="Ben Ode")


@pytest.fixture
def other(exams: Exams, store: Store) -> Iterator[Engine]:
    """The same database, opened by whoever writes records meanwhile."""
    engine = open_database(None, store.vault.folder, RECORDS_FILE, busy_s=0.2)
    yield engine
    engine.dispose()


def calling(monkeypatch: pytest.MonkeyPatch, name: str, first: Callable[[], None]) -> list[str]:
    """Do something first whenever a method of a file of keys is called; the calls."""
    calls, original = [], getattr(PersonKeys, name)

    def called(keys: PersonKeys, *given: Any) -> Any:
        calls.append(name)
        first()
        return original(keys, *given)

    monkeypatch.setattr(PersonKeys, name, called)
    return calls


def record(engine: Engine) -> None:
    """Fails where somebody else has a transaction that writes."""
    with writing(engine):
        pass


def test_records_are_written_while_keys_of_a_roster_go_to_the_disk(
    exams: Exams, algebra: Exam, other: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = calling(monkeypatch, "add", lambda: record(other))
    exams.add(algebra.id, [ANNA, BEN])
    assert calls == ["add"] * 2
    assert [one.name for one in exams.roster(algebra.id)] == ["Anna Meier", "Ben Ode"]


def test_records_are_written_while_somebody_on_a_roster_is_forgotten(
    exams: Exams, algebra: Exam, other: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (anna,) = exams.add(algebra.id, [ANNA])
    before = exams.version
    calls = calling(monkeypatch, "delete", lambda: record(other))
    exams.forget(anna, "admin", NOW)
    assert calls == ["delete"]
    assert exams.roster(algebra.id)[0].forgotten
    assert exams.version == before + 1, "servers read it anew"


def test_somebody_is_forgotten_though_the_database_takes_no_more_just_now(
    store: Store, algebra: Exam, exams: Exams, other: Engine
) -> None:
    """The key is destroyed whatever becomes of the database, and it is told that this failed."""
    (anna,) = exams.add(algebra.id, [ANNA])
    hasty = Exams(other, store)
    path = store.vault.folder / RECORDS_FILE
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as program:
        program.execute("BEGIN IMMEDIATE")
        with pytest.raises(ExamError, match="another program keeps the database of exams"):
            hasty.forget(anna, "admin", NOW)
    assert exams.roster(algebra.id)[0].forgotten


def test_keys_of_a_roster_are_changed_by_nobody_else_until_they_are_live(
    exams: Exams, algebra: Exam, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rotation in between would put another file in the place of theirs."""

    def rotate() -> None:
        with pytest.raises(StoreError, match="locked"), FolderLock(store.vault.folder, 0.0).held():
            pass

    calls = calling(monkeypatch, "confirm", rotate)
    exams.add(algebra.id, [ANNA])
    assert calls == ["confirm"]


@pytest.mark.parametrize("look", ["roster", "everybody", "candidate", "rewrap"])
def test_who_waits_for_the_keys_of_a_roster_keeps_nobody_who_reads(
    exams: Exams,
    algebra: Exam,
    other: Engine,
    monkeypatch: pytest.MonkeyPatch,
    look: str,
) -> None:
    """A log that is read from cannot be emptied, and a reader may wait long for keys."""
    exams.add(algebra.id, [ANNA])
    open_now: list[int] = []
    original = exams.keys.read

    def read() -> PersonKeys:
        # Of pools in general SQLAlchemy does not say that they count, and this one does.
        open_now.append(exams.engine.pool.checkedout())  # type: ignore[attr-defined]
        return original()

    monkeypatch.setattr(exams.keys, "read", read)
    {
        "roster": lambda: exams.roster(algebra.id),
        "everybody": exams.everybody,
        "candidate": lambda: exams.candidate(algebra.id, "4711"),
        "rewrap": lambda: exams.rewrap(bytes(32)),
    }[look]()
    assert set(open_now) == {0}


def test_the_store_is_not_waited_for_in_a_transaction(
    store: Store, exams: Exams, lock_order: LockOrder
) -> None:
    """What all other tests are held to is seen where it is done."""
    with reading(exams.engine):
        store.profiles(NOW)
    with writing(exams.engine), store.vault.exclusively():
        pass
    broken, lock_order.broken = lock_order.broken, []
    assert len(broken) == 2
    with store.vault.exclusively(), writing(exams.engine):
        store.profiles(NOW)
    assert lock_order.broken == [], "whoever has the store's lock waits for nobody"
