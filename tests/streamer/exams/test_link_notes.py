"""Giving out a link seldom writes, and never fails because nothing can be written."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import sqlalchemy as sa
from enrolled_people import KEY

from streamer.database import reading
from streamer.exams.book import GRACE_S, Exams
from streamer.exams.errors import ExamError
from streamer.exams.exam import Entry, Exam
from streamer.exams.link_notes import NEAR_S
from streamer.exams.opening import RECORDS_FILE, open_exams
from streamer.store.errors import StoreError
from streamer.store.folder_lock import FolderLock
from streamer.store.store import Store
from tests.streamer.exams.conftest import NOW

LINES = [Entry(candidate=str(number), name=f"Anna {number}") for number in range(4711, 4714)]


@contextlib.contextmanager
def transactions(exams: Exams) -> Iterator[list[str]]:
    """Those that write, as they begin."""
    begun: list[str] = []

    def note(_c: object, _d: object, statement: str, *_: object) -> None:
        if statement == "BEGIN IMMEDIATE":
            begun.append(statement)

    sa.event.listen(exams.engine, "before_cursor_execute", note)
    yield begun
    sa.event.remove(exams.engine, "before_cursor_execute", note)


def test_a_link_that_is_given_out_again_is_not_noted_again(exams: Exams, algebra: Exam) -> None:
    exams.add(algebra.id, LINES[:1])
    with transactions(exams) as begun:
        exams.link(exams.roster(algebra.id)[0])
        assert len(begun) == 1
        exams.link(exams.roster(algebra.id)[0])
        assert len(begun) == 1
        exams.link(exams.roster(algebra.id)[0], expires_at=NOW + 60)
        assert len(begun) == 1, "it holds for less long than is noted"


def test_a_link_that_holds_a_little_longer_each_time_is_noted_once_a_minute(
    exams: Exams, algebra: Exam
) -> None:
    exams.add(algebra.id, LINES[:1])
    with transactions(exams) as begun:
        for later in range(0, int(2 * NEAR_S) + 11, 10):
            given = NOW + 600 + later
            assert exams.link(exams.roster(algebra.id)[0], expires_at=given)[1] == given
            (line,) = exams.roster(algebra.id)
            assert line.link_expires_at is not None
            assert given - NEAR_S <= line.link_expires_at <= given
    assert len(begun) == 2


def test_all_links_of_a_roster_are_noted_in_one_transaction(exams: Exams, algebra: Exam) -> None:
    people = exams.add(algebra.id, LINES)
    with transactions(exams) as begun:
        made = exams.links(people)
    assert len(begun) == 1
    assert [exams.read(token).candidate for token, _ in made] == [one.id for one in people]
    noted = [one.link_expires_at for one in exams.roster(algebra.id)]
    assert noted == [until for _, until in made] == [algebra.ends_at + GRACE_S] * len(LINES)
    exams.end(algebra.id, NOW)
    with pytest.raises(ExamError, match="over"):
        exams.links(people)


def lock_of_the_store(folder: Path) -> AbstractContextManager[None]:
    return FolderLock(folder, 1.0).held()


@contextlib.contextmanager
def lock_of_the_exams(folder: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(folder / RECORDS_FILE)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.parametrize(
    ("lock", "error", "words"),
    [
        (lock_of_the_store, StoreError, "keeps the store in .* locked"),
        (lock_of_the_exams, ExamError, "keeps the database of exams .* locked"),
    ],
)
def test_a_link_is_given_out_where_nothing_can_be_written(
    lock: Callable[[Path], AbstractContextManager[None]],
    error: type[Exception],
    words: str,
    algebra: Exam,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Store.open(tmp_path, KEY, busy_s=0.05) as store, open_exams(None, tmp_path, store) as book:
        with reading(book.engine) as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 50")
        (anna,) = book.add(algebra.id, LINES[:1])
        with caplog.at_level(logging.WARNING), lock(tmp_path):
            with pytest.raises(error, match=words):
                book.note_opened(anna, NOW)
            token, until = book.link(anna)
        assert book.read(token).candidate == anna.id
        assert until == algebra.ends_at + GRACE_S
        (said,) = caplog.messages
        assert "cannot be noted just now: another program keeps" in said
        assert not any(word in caplog.text for word in ("Anna", "4711"))
        assert book.roster(algebra.id)[0].link_expires_at is None
        book.link(anna)
        assert book.roster(algebra.id)[0].link_expires_at == until
