"""What arriving candidates cost a server that knows all rosters."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from enrolled_people import KEY

from streamer.exams.book import Exams
from streamer.exams.exam import Entry, Rules
from streamer.exams.opening import open_exams
from streamer.server.seats import Seats
from streamer.store.store import Store

NOW = time.time()
PEOPLE = 5


@pytest.fixture
def exams(tmp_path: Path) -> Iterator[Exams]:
    with Store.open(tmp_path, KEY) as store, open_exams(None, tmp_path, store) as opened:
        exam = opened.create("Algebra I", NOW, NOW + 7200, Rules(), NOW)
        opened.add(
            exam.id, [Entry(candidate=f"{number}", name="Somebody") for number in range(PEOPLE)]
        )
        yield opened


@pytest.fixture
def seats(exams: Exams, tmp_path: Path) -> Iterator[Seats]:
    with Store.open(tmp_path, KEY) as store:
        made = Seats(exams, store)
        made.refresh()
        yield made


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[object]:
    """The calls of a method of all exams, from now on."""
    calls, method = list[object](), getattr(Exams, name)

    def call(*arguments: object) -> object:
        calls.append(arguments)
        return method(*arguments)

    monkeypatch.setattr(Exams, name, call)
    return calls


def test_who_arrives_makes_no_server_read_the_rosters_anew(
    exams: Exams, seats: Seats, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = counted(monkeypatch, "everybody")
    everybody = exams.everybody()
    for one in everybody:
        sitting = seats.now(one.id)
        assert sitting is not None
        seats.note_opened(sitting)
        exams.consents.used([bytes.fromhex(one.id)], NOW)
        seats.refresh()
    assert len(read) == 1, "by this test alone"
    assert all(one.opened_at is not None for one in exams.roster(everybody[0].exam))
    exams.withdraw(everybody[0], NOW)
    seats.refresh()
    assert len(read) == 2


def test_a_link_that_was_opened_is_not_noted_again_until_there_is_another(
    exams: Exams, seats: Seats, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = counted(monkeypatch, "note_opened")
    someone = exams.everybody()[0].id

    def open_link() -> None:
        sitting = seats.now(someone)
        assert sitting is not None
        seats.note_opened(sitting)

    open_link()
    open_link()
    assert len(noted) == 1
    exams.renew_link(exams.everybody()[0])
    seats.refresh()
    open_link()
    assert len(noted) == 2
    assert exams.everybody()[0].opened_at is not None
