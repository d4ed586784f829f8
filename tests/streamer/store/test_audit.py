"""The audit log is shortened by what is older than its term, and counts what was removed."""

from __future__ import annotations

import signal
import subprocess
import sys

from enrolled_people import NOW, enrol
from store_place import Place

from streamer.store.audit import SHORTENED, Entry, Told
from streamer.store.store import Store

DAY_S = 86400.0
TERM_S = 730 * DAY_S
TODAY = NOW + 3000 * DAY_S


def noted(store: Store, *days: float) -> None:
    """An act on each of these days."""
    for day in days:
        store.note(Entry(NOW + day * DAY_S, "chief", "export", detail=f"day {day:g}"))


def told(store: Store) -> list[tuple[str, str]]:
    return [(act.act, act.detail) for act in store.acts()]


def shortened(store: Store, day: float) -> int:
    """On that day, by the default term."""
    now = NOW + day * DAY_S
    return store.shorten_audit(now - TERM_S, now)


def test_what_is_older_becomes_one_entry_that_counts_it(store: Store) -> None:
    noted(store, 0, 1, 2, 700)
    assert shortened(store, 731.5) == 2
    assert told(store) == [
        ("export", "day 2"),
        ("export", "day 700"),
        (SHORTENED, "2 acts of 1970-01-01 to 1970-01-02"),
    ]
    assert [(act.who, act.at) for act in store.acts()][-1] == ("expiry", NOW + 731.5 * DAY_S)


def test_one_entry_counts_all_that_were_ever_removed(store: Store) -> None:
    noted(store, 0, 1, 2, 700, 900)
    assert [shortened(store, day) for day in (731.5, 733, 2000, 2001)] == [2, 1, 2, 0]
    assert told(store) == [(SHORTENED, "5 acts of 1970-01-01 to 1972-06-19")]
    assert shortened(store, 9000) == 0  # its own entry is no act
    assert len(told(store)) == 1


def test_where_nothing_is_due_nothing_changes(store: Store) -> None:
    noted(store, 0)
    version, before = store.version, told(store)
    assert shortened(store, 729) == 0
    assert (store.version, told(store)) == (version, before)


def test_the_order_of_the_log_is_no_matter(store: Store) -> None:
    """A deletion that was finished later has its own time."""
    noted(store, 800, 0)
    assert shortened(store, 1000) == 1
    assert [act for act, _ in told(store)] == ["export", SHORTENED]


def test_a_count_that_somebody_wrote_otherwise_is_counted_as_an_act(store: Store) -> None:
    noted(store, 0)
    store.note(Entry(NOW, "expiry", SHORTENED, detail="many"))
    assert shortened(store, 1000) == 1
    assert told(store) == [(SHORTENED, "2 acts of 1970-01-01 to 1970-01-01")]


def test_who_was_deleted_stays_so_and_people_stay_as_they_are(place: Place) -> None:
    with place.open() as store:
        enrol(store, "Anna", 1)
        enrol(store, "Bert", 2)
        store.delete("Anna")
        gone = place.rows("SELECT person FROM gone")
        assert store.shorten_audit(store.now() + 1, TODAY) == 3
        assert place.rows("SELECT person FROM gone") == gone != []
    with place.open() as store:
        assert [one.name for one in store.profiles(NOW)] == ["Bert"]
        assert [act.act for act in store.acts()] == [SHORTENED]


def test_what_is_removed_is_in_no_byte_of_the_file(sqlite_place: Place) -> None:
    with sqlite_place.open() as store:
        store.note(Entry(NOW, "chief Karenina", "export"))
        assert b"Karenina" in sqlite_place.bytes()
        assert shortened(store, 1000) == 1
    assert b"Karenina" not in sqlite_place.bytes()


KILLED = """
import os, signal, sys
from pathlib import Path
from streamer.store import audit
from streamer.store.store import Store

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

store = Store.open(Path(sys.argv[1]), bytes(range(32)), database=sys.argv[2] or None)
audit.write = killed
store.shorten_audit(float(sys.argv[3]), float(sys.argv[3]))
"""


def test_killed_in_the_middle_it_is_as_before(place: Place) -> None:
    def acts() -> list[Told]:
        with place.open() as store:
            return store.acts()

    with place.open() as store:
        noted(store, 0, 1, 2)
    before = acts()
    command = [sys.executable, "-c", KILLED, *place.arguments, str(TODAY)]
    assert subprocess.run(command, check=False, timeout=120).returncode == -signal.SIGKILL
    assert acts() == before
    with place.open() as store:
        assert shortened(store, 3000) == 3
    assert [(act.act, act.detail[:6]) for act in acts()] == [(SHORTENED, "3 acts")]
