"""Exams beside a store in a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from enrolled_people import KEY

from streamer.exams.book import Exams
from streamer.exams.exam import Exam, Rules
from streamer.exams.opening import open_exams
from streamer.store.store import Store

NOW = 1_700_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path, KEY) as opened:
        yield opened


@pytest.fixture
def exams(tmp_path: Path, store: Store) -> Iterator[Exams]:
    with open_exams(None, tmp_path, store) as opened:
        yield opened


@pytest.fixture
def algebra(exams: Exams) -> Exam:
    return exams.create("Algebra I", NOW, NOW + 7200, Rules(incident_s=4), NOW)
