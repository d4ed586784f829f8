"""The exams of a data folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from streamer.database import explained, open_database
from streamer.exams.book import WHAT, Exams
from streamer.exams.errors import ExamError
from streamer.store.store import Store

RECORDS_FILE = "records.db"


@contextlib.contextmanager
def open_exams(url: str | None, folder: Path, store: Store) -> Iterator[Exams]:
    """Exams and rosters of the store in that folder; ``url``: in PostgreSQL.

    Raises :class:`ExamError`.
    """
    with explained(str(folder / RECORDS_FILE), WHAT, ExamError):
        engine = open_database(url, folder, RECORDS_FILE)
    try:
        yield Exams(engine, store)
    finally:
        engine.dispose()
