"""An exam on the disk, and the command line beside it: for tests of reports that are handed in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from enrolled_people import enrol
from recorded_stream import NOON, seated, taken_over
from typer.testing import CliRunner, Result

from streamer.cli import app
from streamer.exams.exam import Entry, Rules
from streamer.exams.opening import open_exams
from streamer.records.opening import open_book
from streamer.store.store import Store

Run = Callable[..., Result]


def filled(folder: Path) -> str:
    """An exam of Anna, who was heard, and of Bert, who never came."""
    with Store.in_folder(folder, None, {}) as store, open_exams(None, folder, store) as exams:
        exam = exams.create("Biology", NOON, NOON + 7200, Rules(), NOON).id
        anna = enrol(store, "anna@x", 1, now=store.now())
        entries = [
            Entry(candidate="A-1", name="Anna", voiceprint="anna@x"),
            Entry(candidate="A-2", name="Bert"),
        ]
        first, _ = exams.add(exam, entries)
        book = open_book(None, folder, store.vault.key, dict)
        book.journal.write({"s-1": seated(taken_over(), anna.reference, exam, first.id)})
        book.close()
    return exam


def run_in(folder: Path) -> Run:
    def run(*arguments: str) -> Result:
        env = {"VOXWATCH_DATA_DIR": str(folder), "VOXWATCH_CONFIG": ""}
        return CliRunner(env=env).invoke(app, list(arguments))

    return run
