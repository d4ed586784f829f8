"""A record in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded import KEY, NAMES

from streamer.records.book import Book
from streamer.records.opening import open_book, sqlite_engine


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    engine = sqlite_engine(tmp_path)
    yield open_book(engine, KEY, lambda: NAMES)
    engine.dispose()
