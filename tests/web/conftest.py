"""A real Chromium with a microphone that plays a file, and what it says on its console."""

from __future__ import annotations

import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "web" / "dist"
CHROMIUM = shutil.which("chromium")
RATE_HZ = 48_000  # of the sound of a microphone
WAIT_MS = 30_000  # for what takes a moment on a busy machine

if not CHROMIUM:
    pytest.skip("needs chromium", allow_module_level=True)
if not (DIST / "index.html").is_file():
    reason = "needs the built dashboard: npm ci && npm run build in web/"
    pytest.skip(reason, allow_module_level=True)

playwright_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")


@dataclass
class Visitor:
    """A page and everything that its console complained of."""

    page: Any
    complaints: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        """The visible text of an element."""
        return str(self.page.locator(selector).inner_text())

    def sees(self, selector: str, text: str, wait_ms: float = WAIT_MS) -> None:
        """Wait until an element says this."""
        found = playwright_api.expect(self.page.locator(selector))
        found.to_contain_text(text, timeout=wait_ms, use_inner_text=True)

    def sees_no_more(self, selector: str, text: str = "") -> None:
        """Wait until an element no longer says this; without words, until it is hidden."""
        found = playwright_api.expect(self.page.locator(selector))
        if text:
            found.not_to_contain_text(text, timeout=WAIT_MS, use_inner_text=True)
        else:
            found.to_be_hidden(timeout=WAIT_MS)

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))


Open = Callable[..., Visitor]
Sound = Callable[[str], Path]


# Not of the session: while Playwright's loop is there, no asynchronous test can run.
@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    with playwright_api.sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browsers(playwright: Any) -> Iterator[Callable[[tuple[str, ...]], Any]]:
    """Browsers by their arguments, each started once."""
    started: dict[tuple[str, ...], Any] = {}

    def browser(arguments: tuple[str, ...]) -> Any:
        if arguments not in started:
            started[arguments] = playwright.chromium.launch(
                executable_path=CHROMIUM, args=list(arguments)
            )
        return started[arguments]

    yield browser
    for one in started.values():
        one.close()


@pytest.fixture
def visit(browsers: Callable[[tuple[str, ...]], Any]) -> Iterator[Open]:
    """Open a page as a new visitor; ``sound`` is what the microphone hears."""
    contexts = []

    def open_page(
        url: str, *, sound: Path | None = None, allow: bool = True, **context: Any
    ) -> Visitor:
        # Chromium's sandbox needs rights that a container may not have; the page is our own.
        arguments = ["--no-sandbox", "--use-fake-device-for-media-stream"]
        arguments += ["--use-fake-ui-for-media-stream"] if allow else []
        arguments += [f"--use-file-for-fake-audio-capture={sound}"] if sound else []
        contexts.append(browsers(tuple(arguments)).new_context(**context))
        visitor = Visitor(contexts[-1].new_page())
        complaints = visitor.complaints
        visitor.page.on("pageerror", lambda error: complaints.append(str(error)))
        visitor.page.on(
            "console",
            lambda said: complaints.append(said.text) if said.type != "log" else None,
        )
        visitor.page.goto(url)
        return visitor

    yield open_page
    for opened in contexts:
        opened.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """What a microphone hears: three seconds of the room, and then a voice, over and over."""
    folder = tmp_path_factory.mktemp("sounds")
    random = np.random.default_rng(1)

    def make(name: str) -> Path:
        path = folder / f"{name}.wav"
        if path.exists():
            return path
        room_db, voice_db = {
            "good": (-65, -20), "noisy": (-28, -20), "faint": (-75, -46), "dead": (-200, -200),
        }[name]  # fmt: skip
        samples = random.standard_normal(15 * RATE_HZ)
        gains = np.full(len(samples), 10 ** (voice_db / 20))
        gains[: round(3.6 * RATE_HZ)] = 10 ** (room_db / 20)
        sf.write(path, np.clip(samples * gains, -1, 1), RATE_HZ, subtype="PCM_16")
        return path

    return make


@pytest.fixture(scope="module")
def mocks() -> Iterator[Callable[[tuple[str, ...]], str]]:
    """Scripted servers by their further arguments, each started once; their addresses."""
    started: dict[tuple[str, ...], str] = {}
    with ExitStack() as stack:

        def mock(arguments: tuple[str, ...]) -> str:
            if arguments not in started:
                script = Path(__file__).with_name("mock_server.py")
                command = [sys.executable, str(script), "0", str(DIST), *arguments]
                process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
                stack.enter_context(process)
                stack.callback(process.terminate)
                assert process.stdout is not None
                started[arguments] = f"http://127.0.0.1:{int(process.stdout.readline())}/"
            return started[arguments]

        yield mock


@pytest.fixture
def mock(request: pytest.FixtureRequest, mocks: Callable[[tuple[str, ...]], str]) -> str:
    """The scripted server's address, as if it had just been started."""
    address = mocks(getattr(request, "param", ()))
    with urllib.request.urlopen(f"{address}mock/reset") as answer:
        assert answer.status == 200
    return address
