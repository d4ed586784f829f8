"""`voxwatch records`: on this machine's record, whether or not a server has it open."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from recorded import T0, VoiceprintFacts, started, whole
from typer.testing import CliRunner, Result

from engine.scoring.voiceprints import Prototype
from streamer.cli import app
from streamer.records.entries import AnyEntry
from streamer.records.errors import Held, UnknownStream
from streamer.records.opening import RECORDS_FILE, open_book
from streamer.store.keys import load_key
from streamer.store.profile import Consent
from streamer.store.store import Store

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Streams "one" and "two"; Anna is enrolled, and the first is hers."""
    with Store.in_folder(tmp_path, None, {}) as store:
        embedding = np.ones(4, np.float32)
        anna = store.add(
            "Anna",
            [Prototype(embedding, 20.0)],
            consent=Consent("1", T0),
            model_name="tiny 1",
            model_sha256="5a" * 32,
            ttl_s=None,
            now=time.time(),
        )
    book = open_book(None, tmp_path, load_key(tmp_path, env={}))
    voiceprint = VoiceprintFacts(
        speaker=anna.reference, enrolled_at=T0, speech_s=20.0, consent_version="1", consent_at=T0
    )
    facts = {"claims": (anna.reference,), "voiceprints": (voiceprint,)}
    one: list[AnyEntry] = [started("one", **facts), *whole("one")[1:5], whole("one")[-1]]
    book.journal.write({"one": one, "two": whole("two", claims=(), voiceprints=())[:5]})
    book.close()
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--data", str(folder)])

    return run


def test_streams_are_listed_by_person(run: Run) -> None:
    listed = run("records", "list").stdout
    assert "one" in listed
    assert "two" in listed
    assert "Anna" in listed
    of_anna = run("records", "list", "--person", "Anna", "--json").stdout.splitlines()
    assert [json.loads(line)["stream"] for line in of_anna] == ["one"]
    assert run("records", "list", "--person", "Nobody").exit_code == 2


def test_what_is_shown_is_noted(run: Run) -> None:
    shown = run("records", "show", "one").stdout
    assert "Anna" in shown
    assert "desk 7" in shown
    again = [
        json.loads(line) for line in run("records", "show", "one", "--json").stdout.splitlines()
    ]
    assert [entry["number"] for entry in again] == list(range(1, len(again) + 1))
    assert [entry.get("act") for entry in again[-2:]] == ["viewed", "viewed"]
    assert again[-1]["who"].startswith("local user")


def test_who_listened_to_what_is_in_the_log(run: Run, folder: Path) -> None:
    book = open_book(None, folder, load_key(folder, env={}))
    book.listen("one", "one/1", "token desk", T0 + 9)
    book.close()
    (line,) = (line for line in run("records", "log").stdout.splitlines() if "viewed" in line)
    assert line.split()[-6:] == ["token", "desk", "sound", "of", "incident", "one/1"]


def test_a_record_that_is_whole_verifies_and_one_that_is_not_does_not(
    run: Run, folder: Path
) -> None:
    whole_one = run("records", "verify")
    assert (whole_one.exit_code, "all is whole" in whole_one.stdout) == (0, True)
    with sqlite3.connect(folder / RECORDS_FILE) as database:
        database.execute("DELETE FROM record_entries WHERE stream = 'one' AND number = 2")
    database.close()
    broken = run("records", "verify")
    assert broken.exit_code == 1
    assert "stream one: entries 2 to 2 are missing" in broken.stdout
    assert run("records", "verify", "two").exit_code == 0
    assert isinstance(run("records", "verify", "none").exception, UnknownStream)


def test_what_was_cut_of_the_register_is_told(run: Run, folder: Path) -> None:
    assert "cut" not in run("records", "verify").stdout
    book = open_book(None, folder, load_key(folder, env={}))
    book.purge(T0 + 50, T0 + 60)
    cut = book.shorten_register(T0 + 55, T0 + 70)
    book.close()
    told = run("records", "verify")
    assert told.exit_code == 0
    assert f"register: its first {cut} entries, of " in told.stdout
    assert "restarted" in run("records", "log").stdout


def test_what_is_held_is_not_deleted_until_it_is_released(run: Run) -> None:
    assert run("records", "hold", "one", "--why", "appeal").exit_code == 0
    refused = run("records", "delete", "one", "--yes")
    assert isinstance(refused.exception, Held)
    assert run("records", "release", "one").exit_code == 0
    assert run("records", "delete", "one", "--yes", "--why", "asked to").exit_code == 0
    assert isinstance(run("records", "show", "one").exception, UnknownStream)
    log = run("records", "log", "one").stdout
    assert "deleted" in log
    assert "asked to" in log
    assert run("records", "verify").exit_code == 0


def test_a_person_who_is_deleted_is_named_no_more(run: Run, folder: Path) -> None:
    assert run("profiles", "delete", "Anna", "--yes").exit_code == 0
    shown = run("records", "show", "one").stdout
    assert "Anna" not in shown
    assert "(deleted " in shown
    assert "desk 7" not in shown
    assert run("records", "verify").exit_code == 0
