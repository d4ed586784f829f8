"""The dashboard with the real server and the real model, on flite's voices.

slt enrols as Alice in a browser whose microphone plays a file; then she speaks in another,
and awb takes over from her.
"""

# ruff: noqa: RUF001 - the page writes an en dash, as English does

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr
from ports import free_port

from tests.web.conftest import ROOT, WAIT_MS, Open, playwright_api

pytestmark = pytest.mark.slow

if not shutil.which("flite"):
    pytest.skip("needs flite to synthesise voices", allow_module_level=True)

RATE_HZ = 48_000  # a rate that the server has to convert, as a browser's usually is
ALICE_S = 14.0
ENROLMENT_MS = 60_000  # 20 s of speech and the pauses between, played in real time

READING = (
    "The North Wind and the Sun were disputing which was the stronger, when a traveller came "
    "along wrapped in a warm cloak. They agreed that the one who first succeeded in making the "
    "traveller take his cloak off should be considered stronger than the other. Then the North "
    "Wind blew as hard as he could, but the more he blew the more closely did the traveller "
    "fold his cloak around him. And at last the North Wind gave up the attempt."
)
CALL = (
    "Please call Stella. Ask her to bring these things with her from the store. Six spoons of "
    "fresh snow peas, five thick slabs of blue cheese, and maybe a snack for her brother Bob. "
    "We also need a small plastic snake and a big toy frog for the kids."
)

# What happened before the restart is still told, below a line; above it stands a new decision.
JUDGED_AGAIN = """() => {
    const lines = [...document.querySelectorAll("#events li")].map(line => line.innerText);
    const divider = lines.findIndex(line => line.includes("a new session began"));
    const judged = some => some.some(line => line.includes("evidence"));
    return divider > 0 && judged(lines.slice(0, divider)) && judged(lines.slice(divider));
}"""

Speak = Callable[[str, str], np.ndarray]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("live")


@pytest.fixture(scope="module")
def say(folder: Path) -> Speak:
    """Speech of one of flite's voices, float32 at ``RATE_HZ``."""

    def synthesise(voice: str, text: str) -> np.ndarray:
        file = folder / "flite.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(file)], check=True)
        samples, rate_hz = sf.read(file, dtype="float32")
        return np.asarray(soxr.resample(samples, rate_hz, RATE_HZ))

    return synthesise


@pytest.fixture(scope="module")
def reading(folder: Path, say: Speak) -> Path:
    """slt reads."""
    file = folder / "reading.wav"
    sf.write(file, say("slt", READING), RATE_HZ, subtype="PCM_16")
    return file


@pytest.fixture(scope="module")
def call(folder: Path, say: Speak) -> Path:
    """slt speaks, and after ``ALICE_S`` it is awb who does."""
    file = folder / "call.wav"
    alice = say("slt", CALL)[: round(ALICE_S * RATE_HZ)]
    sf.write(file, np.concatenate([alice, say("awb", CALL)]), RATE_HZ, subtype="PCM_16")
    return file


@contextmanager
def serving(port: int, data: Path, **settings: str) -> Iterator[str]:
    """The real server, ready; ``settings`` by the names of their variables."""
    command = [sys.executable, "-m", "streamer.cli", "serve", "--log", "error"]
    command += ["--port", str(port), "--data", str(data), "--provider", "cpu"]
    environment = os.environ | settings
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline(), "the server ended before it was ready"
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()


def test_enrol_verify_takeover_and_a_restart_of_the_server(
    folder: Path, reading: Path, call: Path, visit: Open
) -> None:
    port, data = free_port(), folder / "data"
    with serving(port, data) as url:
        alice = visit(url, sound=reading)
        alice.page.click("#enrol-open")
        alice.page.fill("#enrol-name", "Alice")
        alice.page.check("#enrol-consent")
        alice.page.click("#enrol-form button[type=submit]")
        result = playwright_api.expect(alice.page.locator("#enrol-result-title"))
        result.to_have_text("Alice is enrolled", timeout=ENROLMENT_MS)
        alice.page.click("#enrol-verify")
        alice.sees("#hero-title", "Match – Alice")
        assert alice.complaints == []
        alice.page.close()

        visitor = visit(url, sound=call)
        visitor.sees("#people", "Alice")
        visitor.page.click("#microphone")
        monitor = visit(f"{url}#watch=first", viewport={"width": 390, "height": 844})
        visitor.sees("#hero-title", "Match – Alice")
        monitor.sees("#hero-title", "Match – Alice")
        visitor.sees("#hero-title", "Another voice took over at 0:1")
        visitor.sees("#hero-detail", "The voice since then is not Alice.")
        monitor.sees("#hero-title", "Another voice took over at 0:1")
        minutes, seconds = visitor.text("#hero-title").split(" ")[-1].split(":")
        # The change is placed where it was, a word more or less, not where it was noticed.
        assert 60 * int(minutes) + int(seconds) == pytest.approx(ALICE_S, abs=3)
        visitor.sees("#lights", "Level: good")
        assert monitor.overflow() <= 0
        assert visitor.complaints == []
        assert monitor.complaints == []

    visitor.sees("#hero-title", "Disconnected – trying again")
    with serving(port, data):
        visitor.sees("#counters", "1, 1 anew")
        visitor.sees("#hero-question", "Is it Alice?")
        playwright_api.expect(visitor.page.locator("#hero")).not_to_have_attribute(
            "data-tone", "off", timeout=WAIT_MS
        )
        visitor.page.wait_for_function(JUDGED_AGAIN, timeout=WAIT_MS)
        visitor.page.click("#microphone")
        visitor.sees("#hero-title", "Ended")
    others = [text for text in visitor.complaints if "ERR_CONNECTION_REFUSED" not in text]
    assert others == []
