"""The reports that the dashboard and the wall let be kept, with the real server."""

from __future__ import annotations

import io
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ports import free_port
from recorded_stream import seated, taken_over

from streamer.exams.exam import Entry, Rules
from streamer.exams.opening import open_exams
from streamer.records.opening import open_book
from streamer.store.store import Store
from tests.web.conftest import Open
from tests.web.test_live import serving
from voxwatch_client.sync import connect

pytestmark = pytest.mark.slow
SECOND = bytes(32_000)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A server with an exam whose one candidate was taken over; its address, the exam's id."""
    data = tmp_path_factory.mktemp("reports") / "data"
    with Store.in_folder(data, None, {}) as store, open_exams(None, data, store) as exams:
        now = time.time()
        exam = exams.create("Biology", now, now + 7200, Rules(), now)
        (candidate,) = exams.add(exam.id, [Entry(candidate="A-1", name="Łęcka")])
        book = open_book(None, data, store.vault.key)
        book.journal.write({"s-1": seated(taken_over(), "a" * 32, exam.id, candidate.id)})
        book.close()
    with serving(free_port(), data) as url:
        yield url, exam.id


def kept(visitor: object, button: str) -> tuple[str, list[str]]:
    """The file that a button lets be kept, and what is in it."""
    page = visitor.page
    with page.expect_download(timeout=60_000) as saved:
        page.click(button)
    content = Path(saved.value.path()).read_bytes()
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    return saved.value.suggested_filename, names


def test_the_wall_has_the_report_of_a_candidate_and_of_the_exam(
    recorded: tuple[str, str], visit: Open
) -> None:
    url, exam = recorded
    visitor = visit(f"{url}monitor#exam={exam}", accept_downloads=True)
    visitor.sees("#wall", "Łęcka")
    name, names = kept(visitor, "#exam-report")
    assert name.startswith("voxwatch_Biology_")
    assert any(one.startswith("candidates/") and "Łęcka" in one for one in names)
    visitor.page.click("text=Łęcka")
    name, names = kept(visitor, "#candidate-report")
    assert name.startswith("voxwatch_Biology_Łęcka_A-1_2026-11-28")
    assert {Path(one).suffix for one in names} == {".html", ".pdf", ".json", ".csv"}
    assert visitor.complaints == []


def test_the_dashboard_keeps_and_shows_the_report_of_the_server(
    recorded: tuple[str, str], visit: Open
) -> None:
    url, _ = recorded
    done = threading.Event()

    def speak() -> None:
        with connect(url.replace("http", "ws"), label="Room 7") as stream:
            while not done.wait(0.5):
                stream.send(SECOND[:16_000])

    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        visitor = visit(f"{url}#watch=first", accept_downloads=True)
        visitor.sees("#hero", "Room 7")
        name, names = kept(visitor, "#report-save")
        assert name.startswith("voxwatch_Room-7_")
        assert len(names) == 5  # with what signs the four
        with visitor.page.context.expect_page() as opened:
            visitor.page.click("#report-print")
        opened.value.wait_for_selector("h1")
        assert opened.value.inner_text("h1") == "Room 7"
        assert opened.value.evaluate("getComputedStyle(document.body).maxWidth") == "1074px"
        assert visitor.complaints == []
    finally:
        done.set()
        speaker.join()
