"""A record in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded import KEY, NAMES

from streamer.records.book import Book
from streamer.records.opening import open_book


@pytest.fixture
def book(database_url: str | None, tmp_path: Path) -> Iterator[Book]:
    """One in SQLite, and one in PostgreSQL."""
    opened = open_book(database_url, tmp_path, KEY, lambda: NAMES)
    yield opened
    opened.journal.engine.dispose()
