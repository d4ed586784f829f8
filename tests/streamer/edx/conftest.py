"""The back end for Open edX beside a store in a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from enrolled_people import KEY

from streamer.edx.backend import Backend
from streamer.edx.book import EdxBook
from streamer.exams.book import Exams
from streamer.exams.opening import open_exams
from streamer.store.store import Store


@pytest.fixture
def exams(tmp_path: Path, database_url: str | None) -> Iterator[Exams]:
    with (
        Store.open(tmp_path, KEY) as store,
        open_exams(database_url, tmp_path, store) as opened,
    ):
        yield opened


@pytest.fixture
def known() -> set[str]:
    """Names of those who have a voiceprint."""
    return set()


@pytest.fixture
def backend(exams: Exams, known: set[str]) -> Backend:
    return Backend(
        book=EdxBook(exams.engine),
        exams=exams,
        address=lambda token: f"https://voice.example/candidate#{token}",
        enrolled=known.__contains__,
        client="campus",
    )
