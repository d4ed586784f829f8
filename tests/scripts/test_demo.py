"""The demonstration from beginning to end: a real server, a real call, in real time."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile as sf

from scripts import demo_call
from voxwatch_client import control

ROOT = Path(__file__).parents[2]
VOICES = ROOT / "scripts" / "demo_voices"


def environment_is_current() -> bool:
    """Whether the tests run in the environment of the scripts, as the scripts would make it now."""
    stamp = ROOT / ".venv" / "voxwatch-installed"
    if Path(sys.prefix) != stamp.parent or not stamp.exists():
        return False
    source = f"source {ROOT / 'scripts' / 'environment.sh'}; installed_from"
    wanted = subprocess.check_output(["bash", "-c", source], text=True)
    return stamp.read_text().split()[:1] == wanted.split()


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "demo", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.skipif(
    not environment_is_current(),
    reason="the demonstration would change what is installed: run scripts/test, which did so",
)
def test_the_right_events_come_at_the_right_times() -> None:
    done = demo("--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "11 of 11 are right" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(
    not environment_is_current(),
    reason="the demonstration would change what is installed: run scripts/test, which did so",
)
def test_the_exam_shows_who_was_taken_over_and_nobody_else() -> None:
    done = demo("--exam", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "23 of 23 are right" in done.stdout


@pytest.mark.slow
async def test_a_visitor_who_enrolled_is_known_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def names(url: str) -> list[str]:
        async with control(url) as requests:
            return [profile["name"] for profile in await requests.request("profiles")]

    async with demo_call.server(0, tmp_path) as url:
        await demo_call.enrol_both(url)
        async with control(url) as requests:
            consent = (await requests.request("status"))["consent"]["text_version"]
        await demo_call.enrol(url, "Visitor", demo_call.pcm(VOICES / "ben.ogg"), consent)
    monkeypatch.setattr(demo_call, "VOICES", tmp_path)
    async with demo_call.server(0, tmp_path) as url:
        await demo_call.enrol_both(url)  # reads no recording: both are there
        assert sorted(await names(url)) == ["Anna", "Ben", "Visitor"]


def test_an_unknown_argument_is_refused_before_anything_is_installed() -> None:
    done = demo("--chekc")
    assert done.returncode == 2
    assert done.stderr == "error: usage: scripts/demo [--exam] [--check] [--port N]\n"


def test_the_voices_are_as_long_as_the_truth_says() -> None:
    truth = json.loads((VOICES / "call.json").read_text())
    assert sf.info(VOICES / "call.ogg").duration == pytest.approx(truth["duration_s"], abs=0.01)
    assert [turn["speaker"] for turn in truth["turns"]] == ["Anna", "Ben"]
    for name in ("anna", "ben"):
        assert sf.info(VOICES / f"{name}.ogg").duration > 25


@pytest.mark.parametrize(
    ("number", "program", "after"),
    [
        (signal.SIGTERM, "demo_call", "is ready"),
        (signal.SIGTERM, "demo_exam", "enrolling"),
        (signal.SIGHUP, "demo_exam", "is ready"),
        (signal.SIGINT, "demo_call", "is ready"),
    ],
)
def test_a_signal_ends_the_server_too(
    number: signal.Signals, program: str, after: str, tmp_path: Path
) -> None:
    """As `kill` sends it, which asks Python for nothing, and the end of a terminal."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", f"scripts.{program}", "--check"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as demonstration:
        assert demonstration.stdout is not None
        place = None
        for line in demonstration.stdout:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                place = ("127.0.0.1", int(found[1]))
            if after in line:
                break
        assert place is not None
        socket.create_connection(place).close()
        demonstration.send_signal(number)
        assert demonstration.wait(60) == 128 + number
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(place)
    assert not list(tmp_path.glob("tmp*"))  # its store
