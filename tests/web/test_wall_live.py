"""The wall with the real server, model and record, on the demonstration's voices.

Anna sits an exam, and Ben takes over from her; another Ben sits it, too, and is fine.
"""

# ruff: noqa: RUF001 - the page writes an en dash, as English does

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from ports import free_port

from scripts.demo_call import PIECE_S, VOICES, pcm, pieces
from tests.web.conftest import WAIT_MS, Open, playwright_api
from tests.web.test_live import serving
from tests.web.test_wall import PLAYS
from voxwatch_client.messages import GivenConsent
from voxwatch_client.sync import connect, control, enroll

pytestmark = pytest.mark.slow

CALL_MS = 60_000  # a call of 26 s in real time, on a machine that may be busy


def enrol(url: str, name: str, link: str) -> None:
    """By a candidate's link, with all that its page asks to agree to, clips of sound too."""
    with control(url, token=link) as page:
        told = page.request("seat")["consent"]
    consent = GivenConsent(
        given=True, text_version=told["text_version"], text_sha256=told["text_sha256"]
    )
    with enroll(url, name, consent=consent, token=link) as stream:
        for piece in pieces(pcm(VOICES / f"{name.lower()}.ogg")):
            stream.send(piece)
        stream.finalize()
        for _ in stream:
            pass
    with control(url, token=link) as page:
        asked = page.request("seat")["clips"]
        answer = {name: asked[name] for name in ("text_sha256", "language")}
        page.request("clips", agreed=True, **answer)


@contextmanager
def speaking(url: str, link: str, sound: bytes) -> Iterator[None]:
    """A candidate, who speaks in real time and is silent after that."""
    done = threading.Event()

    def speak() -> None:
        with connect(url, token=link) as stream:
            begun = time.monotonic()
            for number, piece in enumerate(pieces(sound + bytes(120 * 32_000)), start=1):
                if done.wait(max(0.0, begun + number * PIECE_S - time.monotonic())):
                    return
                stream.send(piece)

    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        yield
    finally:
        done.set()
        speaker.join()


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, dict[str, str]]]:
    """A server's address, an exam's id, and the links of its candidates by their names."""
    data: Path = tmp_path_factory.mktemp("wall") / "data"
    with serving(free_port(), data, VOXWATCH_CLIPS="true") as url:
        socket = url.replace("http", "ws")
        with control(socket) as requests:
            made = requests.request("exam-create", name="Biology", ends_at=time.time() + 3600)
            lines = [
                {"candidate": f"B-{i}", "name": name, "voiceprint": name.split()[0]}
                for i, name in enumerate(("Anna Adams", "Ben Brown"), start=1)
            ]
            requests.request("roster", exam=made["exam"], add=lines)
            links = {
                line["name"]: requests.request(
                    "candidate-link", exam=made["exam"], candidate=line["candidate"]
                )["token"]
                for line in lines
            }
            for name, link in links.items():
                enrol(socket, name.split()[0], link)
        yield url, made["exam"], links


def test_a_takeover_is_seen_acknowledged_and_still_there_after_a_reload(
    exam: tuple[str, str, dict[str, str]], visit: Open
) -> None:
    url, exam_id, links = exam
    socket = url.replace("http", "ws")
    expect: Callable[..., object] = playwright_api.expect
    visitor = visit(f"{url}monitor#exam={exam_id}", viewport={"width": 1440, "height": 900})
    page = visitor.page
    visitor.sees("#count", "Nobody needs attention")
    visitor.sees("#present", "2 candidates, 0 of them live")
    with ExitStack() as calls:
        for name, sound in (("Anna Adams", "call.ogg"), ("Ben Brown", "ben.ogg")):
            calls.enter_context(speaking(socket, links[name], pcm(VOICES / sound)))
        visitor.sees("#present", "2 candidates")
        first = page.locator("#needing .tile").first
        expect(first).to_contain_text("took over", timeout=CALL_MS)
        assert "Anna Adams" in first.inner_text()
        assert "B-1" in first.inner_text()
        visitor.sees("#others", "Ben Brown")

        page.keyboard.press("n")
        page.keyboard.press("Enter")
        visitor.sees("#candidate-facts", "B-1")
        visitor.sees("#events", "Match – Anna Adams")  # and not the voiceprint
        visitor.sees("#record-words", "From the record, since")
        visitor.sees("#events", "took over")
        page.keyboard.press("a")
        visitor.sees("#incidents", "Acknowledged by")
        page.fill("#note-text", "Asked who speaks.")
        page.press("#note-text", "Enter")
        visitor.sees("#notes", "Asked who speaks.")

        page.click("#incidents [data-act=listen]")
        page.wait_for_function(PLAYS, timeout=WAIT_MS)
        with control(socket) as requests:
            told = requests.request("incidents", exam=exam_id)
            taken = next(one for one in told if one["kind"] == "takeover")
            entries = requests.request("history", stream=taken["stream"])["entries"]
        viewed = [one.get("incident") for one in entries if one.get("act") == "viewed"]
        assert viewed.count(taken["id"]) == 1

        with control(socket, token=links["Anna Adams"]) as own:
            own.request("withdraw", clips=True)
        visitor.sees("#incidents", "Its sound was deleted.")
        assert page.locator("#incidents [data-act=listen], #clip audio").count() == 0

        page.reload()
        visitor.sees("#candidate-name", "Anna Adams")
        visitor.sees("#incidents", "took over")
        visitor.sees("#incidents", "Its sound was deleted.")
        visitor.sees("#incidents", "Acknowledged by")
        visitor.sees("#notes", "Asked who speaks.")
    # Who has left keeps what happened.
    visitor.sees("#candidate-state", "Ended")
    page.reload()
    visitor.sees("#incidents", "took over")
    visitor.sees("#events", "Match – Anna Adams")  # and not the voiceprint
    visitor.sees("#candidate-facts", "Ended")
    visitor.sees("#others .tile:has-text('Ben Brown')", "Ended")
    page.wait_for_selector("#lane .mark", timeout=WAIT_MS)
    assert visitor.complaints == []
