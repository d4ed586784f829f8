"""The store, the exams and the record of a configuration, for commands that read all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from streamer.commands.profiles import opened

if TYPE_CHECKING:
    from streamer.config import Config
    from streamer.exams.book import Exams
    from streamer.records.book import Book
    from streamer.store.store import Store


@contextmanager
def opened_records(config: Config) -> Iterator[tuple[Store, Exams, Book]]:
    """All three. A server may have them open at the same time."""
    from streamer.exams.opening import open_exams
    from streamer.records.opening import open_book

    with ExitStack() as stack:
        store = stack.enter_context(opened(config))
        exams = stack.enter_context(open_exams(config.database, config.data_dir, store))

        def names() -> dict[str, str]:
            on_rosters = {one.id: one.name for one in exams.everybody() if one.name}
            return on_rosters | {one.reference: one.name for one in store.profiles(store.now())}

        book = open_book(config.database, config.data_dir, store.vault.key, names)
        stack.callback(book.close)
        yield store, exams, book
