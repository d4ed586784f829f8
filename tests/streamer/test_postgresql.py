"""The whole program with `database` in its settings: commands, a server, and what they tell."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from enrolled_people import NOW
from enrolled_people import enrol as enrol_somebody
from postgresql import PASSWORD, QUOTED_PASSWORD, Cluster
from store_place import Place, postgresql_place  # noqa: F401  (a fixture)

from streamer.config import Config
from streamer.exams.exam import Rules
from streamer.server.server import Server
from streamer.store.keys import load_key

MAIN = "from streamer.cli import main; main()"
ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def place(postgresql_place: Place) -> Place:  # noqa: F811
    return postgresql_place


@pytest.fixture
def run(place: Place, tmp_path: Path) -> Run:
    """The command as a process; what it says shows no password."""

    def invoke(*arguments: object, database: str | None = place.url) -> Any:
        env = {"VOXWATCH_DATA_DIR": str(place.folder), "VOXWATCH_DATABASE": database or ""}
        env |= {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", MAIN, *map(str, arguments)]
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        for said in (done.stdout, done.stderr):
            assert PASSWORD not in said
            assert QUOTED_PASSWORD not in said
        return done

    return invoke


@pytest.fixture
def people(place: Place) -> None:
    with place.open(load_key(place.folder, env={})) as store:
        for number, name in enumerate(("Anna", "Bert", "Carl")):
            enrol_somebody(store, name, number, now=store.now())


def names(run: Run) -> list[str]:
    done = run("profiles", "list", "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["name"] for line in done.stdout.splitlines()]


@pytest.mark.usefixtures("people")
def test_commands_go_to_the_database(run: Run, place: Place, tmp_path: Path) -> None:
    assert names(run) == ["Anna", "Bert", "Carl"]
    assert run("backup", tmp_path / "monday").returncode == 0
    assert run("profiles", "delete", "Bert", "--yes").stdout == "Bert is deleted\n"
    assert "2 enrolled, all encrypted anew" in run("keys", "rotate").stdout
    assert names(run) == ["Anna", "Carl"]
    assert len(place.rows("SELECT * FROM people")) == 2
    assert not place.file.exists()


@pytest.mark.usefixtures("people")
def test_a_person_is_deleted_while_the_server_is_down(
    run: Run, place: Place, cluster: Cluster
) -> None:
    cluster.stop()
    try:
        listed = run("profiles", "list")
        done = run("profiles", "delete", "Anna", "--yes")
    finally:
        cluster.start()
    assert listed.returncode != 0
    assert re.search(r"cannot reach the store of voiceprints postgresql://\S+: ", listed.stderr)
    assert len(listed.stderr.splitlines()) == 1
    assert "the store cannot be opened: cannot reach" in done.stderr
    assert done.stdout == "Anna is deleted\n"
    assert names(run) == ["Bert", "Carl"]


@pytest.mark.parametrize("database", ["mysql://me:SECRET@db/x", "postgresql://me:SECRET@db:x/y"])
def test_a_url_that_is_none_is_told_without_what_is_in_it(
    run: Run, place: Place, database: str
) -> None:
    done = run("profiles", "list", database=database.replace("SECRET", QUOTED_PASSWORD))
    assert done.returncode != 0
    assert "like postgresql://USER@HOST/DATABASE" in done.stderr
    assert len(done.stderr.splitlines()) == 1


async def test_a_server_keeps_voiceprints_there(
    settings: Callable[..., Config],
    place: Place,
    enrol: Any,
    dial: Any,
    pcm: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with Server(settings(database=place.url), drain_s=1.0) as server:
        enrol(server, "anna")
        async with dial(server, claim="anna") as client:
            await client.until("ready")
            await client.sound(pcm("anna", 5.0))
            await client.until("decision", state="match")
        assert len(place.rows("SELECT * FROM people")) == 1
    assert PASSWORD not in caplog.text
    assert QUOTED_PASSWORD not in caplog.text


async def test_a_folder_moves_with_all_that_is_in_it(
    settings: Callable[..., Config], place: Place, enrol: Any, dial: Any, pcm: Any
) -> None:
    async with Server(settings(), drain_s=1.0) as server:
        enrol(server, "anna")
        async with dial(server, claim="anna") as client:
            await client.until("ready")
            await client.sound(pcm("anna", 5.0))
            await client.until("decision", state="match")
            await client.say(type="finalize")
            assert await client.rest() == 1000
        server.context.exams.create("Algebra", NOW, NOW + 3600, Rules(), NOW)
    async with Server(settings(database=place.url), drain_s=1.0) as server:
        store, book = server.context.store, server.context.book
        (profile,) = store.profiles(store.now())
        assert profile.name == "anna"
        (facts,) = book.streams()
        assert len(book.history(facts.stream)) > 5
        found = book.verify()
        assert (found.streams, found.findings) == (1, ())
        (exam,) = server.context.exams.exams()
        assert exam.name == "Algebra"
        async with dial(server, claim="anna") as client:
            await client.until("ready")
    for name in ("voiceprints.db", "records.db"):
        with contextlib.closing(sqlite3.connect(place.folder / name)) as database:
            assert database.execute("SELECT name FROM sqlite_schema").fetchall() == []
