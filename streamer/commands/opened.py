"""What a configuration names, opened for a command: the store, with the exams, with the record.

A server may have all of them open at the same time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamer.config import Config
    from streamer.exams.book import Exams
    from streamer.records.book import Book
    from streamer.store.store import Store


@contextmanager
def opened(config: Config) -> Iterator[Store]:
    """The store, from which whoever has expired is deleted, and what its log may forget."""
    from streamer.store.store import Store

    with Store.in_folder(config.data_dir, config.database, os.environ) as store:
        now = store.now()
        store.purge(now)
        if (audit_s := config.audit_s) is not None:
            store.shorten_audit(now - audit_s, now)
        yield store


@contextmanager
def opened_exams(config: Config) -> Iterator[tuple[Exams, Store]]:
    """The exams, and the store."""
    from streamer.exams.opening import open_exams

    with opened(config) as store, open_exams(config.database, config.data_dir, store) as exams:
        yield exams, store


@contextmanager
def opened_records(config: Config) -> Iterator[tuple[Store, Exams, Book]]:
    """All three."""
    from streamer.records.opening import open_book

    with opened_exams(config) as (exams, store):

        def names() -> dict[str, str]:
            on_rosters = {one.id: one.name for one in exams.everybody() if one.name}
            return on_rosters | {one.reference: one.name for one in store.profiles(store.now())}

        book = open_book(config.database, config.data_dir, store.vault.key, names)
        try:
            yield store, exams, book
        finally:
            book.close()


@contextmanager
def opened_book(config: Config) -> Iterator[Book]:
    """The record alone."""
    with opened_records(config) as (_, _, book):
        yield book


def forget_the_deleted(config: Config) -> None:
    """Have the record forget whoever is deleted, if there is one."""
    from streamer.records.opening import is_recorded

    if is_recorded(config.database, config.data_dir):
        with opened_records(config) as (_, exams, book):
            lines = frozenset(one.id for one in exams.everybody() if one.forgotten)
            book.settle(config.records_on_deletion, round(time.time(), 3), lines)
