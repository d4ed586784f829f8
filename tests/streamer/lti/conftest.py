"""The tool beside a store in a temporary folder, and a platform that serves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import pytest
from enrolled_people import KEY
from lti_platform import FakePlatform, platform

from streamer.exams.opening import open_exams
from streamer.lti.book import Attempt, LtiBook
from streamer.lti.control import ControlService
from streamer.lti.courier import Courier
from streamer.lti.http import PublicKeys, Session
from streamer.lti.keys import OwnKeys
from streamer.lti.messages import Launch
from streamer.lti.tool import Tool
from streamer.records.book import Book, StreamFacts
from streamer.records.entries import AnyEntry
from streamer.records.opening import open_book
from streamer.store.store import Store
from streamer.wire.incidents import Incident

Come = Callable[..., Launch]


@dataclass
class Record:
    """What is recorded, as the tool reads it."""

    kept: list[StreamFacts] = field(default_factory=list)
    entries: list[AnyEntry] = field(default_factory=list)
    found: list[Incident] = field(default_factory=list)

    def hear(
        self, attempt: Attempt, since: float, until: float | None = None, stream: str = "s"
    ) -> None:
        made = StreamFacts(
            stream=stream, label="", exam=attempt.exam, candidate=attempt.candidate,
            started_at=since, ended_at=until, people=(), entries=1, held_by=None,
        )  # fmt: skip
        self.kept.append(made)

    def streams(self, exam: str, person: str) -> list[StreamFacts]:
        return [one for one in self.kept if (one.exam, one.candidate) == (exam, person)]

    def history(self, stream: str) -> list[AnyEntry]:
        return self.entries

    def incidents(self, stream: str) -> list[Incident]:
        return [one for one in self.found if one.id.startswith(f"{stream}/")]


@pytest.fixture(scope="module")
def there() -> Iterator[FakePlatform]:
    """The platform, which tests leave as it was."""
    with platform() as served:
        yield served


@contextmanager
def opened(url: str | None, folder: Path, there: FakePlatform, known: Any) -> Iterator[Tool]:
    with Store.open(folder, KEY) as store, open_exams(url, folder, store) as exams:
        record = open_book(url, folder, store.vault.key)
        book = LtiBook(record.journal.engine, record.journal.secret)
        try:
            yield Tool(
                platforms=(there.registered,),
                book=book,
                exams=exams,
                record=record,
                keys=OwnKeys(book),
                public_keys=PublicKeys(Session()),
                base="https://voice.example",
                address=lambda token: f"https://voice.example/candidate#{token}",
                enrolled_at=known,
            )
        finally:
            record.close()


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory, there: FakePlatform) -> Iterator[Tool]:
    """One for all tests of a module, which knows of no voiceprint: no login is another's."""
    with opened(None, tmp_path_factory.mktemp("tool"), there, lambda name: None) as made:
        yield made


@pytest.fixture
def enrolled() -> dict[str, float]:
    """Since when there are voiceprints, by name."""
    return {}


@pytest.fixture
def url() -> str | None:
    """Where the database is; tests of what is kept are run with PostgreSQL, too."""
    return None


@pytest.fixture
def fresh(
    tmp_path: Path, url: str | None, there: FakePlatform, enrolled: dict[str, float]
) -> Iterator[Tool]:
    """One of a test's own."""
    with opened(url, tmp_path, there, enrolled.get) as made:
        yield made


def launched(tool: Tool, there: FakePlatform, kind: str, **changes: Any) -> Launch:
    """A launch from the login to where the tool has understood it."""
    login = tool.login(there.login(), time.time())
    asked = dict(parse_qsl(urlsplit(login.url).query))
    claims = there.claims(asked["nonce"], kind, **changes)
    form = {"state": asked["state"], "id_token": there.keys[-1].sign(claims)}
    return tool.launch(form, login.state, time.time())


@pytest.fixture
def come(tool: Tool, there: FakePlatform) -> Come:
    """``come(kind, **claims)``."""
    return lambda kind="LtiStartProctoring", **changes: launched(tool, there, kind, **changes)


@pytest.fixture
def comes(fresh: Tool, there: FakePlatform) -> Come:
    """The same to a fresh tool."""
    return lambda kind="LtiStartProctoring", **changes: launched(fresh, there, kind, **changes)


@pytest.fixture
def record() -> Record:
    return Record()


@pytest.fixture
def heard(fresh: Tool, record: Record) -> Tool:
    """The tool, with a record that tests write."""
    return replace(fresh, record=cast("Book", record))


@pytest.fixture
def courier(heard: Tool, record: Record) -> Courier:
    return Courier(heard, ControlService(Session()), record.incidents)
