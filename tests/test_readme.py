"""Every command in README.md works as it stands there, or at least exists with its options."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray
from ports import free_port
from typer.testing import CliRunner

from engine.format import SAMPLE_RATE_HZ
from streamer.cli import GROUPS, app
from streamer.config import Config
from streamer.config_sources import load

pytestmark = pytest.mark.slow

Float32 = NDArray[np.float32]
ROOT = Path(__file__).parents[1]
DEFAULT_ADDRESS = "127.0.0.1:8765"
README = (ROOT / "README.md").read_text()

# Commands by how they begin, and why they are not run here. Those of `voxwatch` must still
# exist, with every option that README gives them.
NOT_RUN = {
    "scripts/test": "it runs this test",
    "scripts/demo": "tests/scripts/test_demo.py runs it",
    "pip download": "it needs the network",
    "python -m zipfile": "it unpacks that download",
    "pip install": "it takes minutes; scripts/environment.sh installs the project as editable",
    "voxwatch listen": "it needs a microphone: tests/streamer/commands/test_listen.py runs it",
    "voxwatch serve --workers": "a server has the port; test_workers.py runs it elsewhere",
    "voxwatch bench": "minutes; tests/streamer/bench runs small ones",
    "voxwatch evaluate speakers": "it needs folders of speakers and noise; the one before is run",
    "voxwatch benchmark": "minutes; tests/models/benchmark/test_benchmark.py runs a small one",
    "voxwatch tune": "minutes; tests/models/benchmark/test_tune.py runs a small one",
    "voxwatch models pull": "it needs the network; test_bundles.py has a server",
    "voxwatch models import": "it needs 30 MB of weights; test_bundles.py has a few",
    "voxwatch models heads": "it needs a corpus; test_heads.py has a small one",
    "voxwatch models whiten": "it needs a corpus; test_bundles.py has a small one",
    "voxwatch models export": "it needs a trained network; test_bundles.py has a tiny one",
    "voxwatch calibrate": "a corpus; tests/models/calibration/test_calibrate.py has a small one",
    ".venv/bin/python scripts/fit_evidence.py": "a corpus; test_evidence_fit.py has one",
    "voxwatch records list": "Alice is deleted by then; commands/test_records.py has one",
    "voxwatch records show": "it needs a recorded stream; commands/test_records.py has one",
    "voxwatch records verify --report": "it needs one; commands/test_exam.py makes it",
    "voxwatch report": "it needs a recorded stream; tests/streamer/reports/test_library.py has one",
    "voxwatch exam": "it needs a roster; tests/streamer/commands/test_exam.py has one",
    "voxwatch train": "it takes hours; tests/models/training/test_loop.py runs a few steps",
}


def console_commands() -> list[str]:
    """Lines after a ``$`` in the ``console`` blocks, continued lines joined."""
    blocks = re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


COMMANDS = console_commands()
STATUS = {"voxwatch verify": (0, 1), "voxwatch doctor": (0, 1)}  # an answer either way


def not_run(command: str) -> bool:
    return any(command.startswith(beginning) for beginning in NOT_RUN)


def run(command: list[str], cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def environment(**more: str) -> dict[str, str]:
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": scripts, **more}


def prepare(folder: Path, voice: Callable[..., Float32]) -> None:
    """The files that README names: Alice is the demonstration's Anna, the other a formula."""
    alice, _ = sf.read(ROOT / "scripts/demo_voices/anna.ogg", dtype="float32")
    other = voice("bert", 10, seed=5)
    half = len(alice) // 2
    call = np.resize(alice[half:], len(other))
    for name, samples in (
        ("alice1.wav", alice[:half]),
        ("alice2.wav", alice[half:]),
        ("unknown.wav", call),
        ("other.wav", other),
        ("call.wav", np.stack([other, call], axis=1)),
    ):
        sf.write(folder / name, samples, SAMPLE_RATE_HZ)
    raw = (call * 32767).astype("<i2").tobytes()
    (folder / "unknown.raw").write_bytes(raw)
    lines = [
        "1 alice1.wav alice2.wav",
        "1 alice1.wav unknown.wav",
        "0 alice1.wav other.wav",
        "0 alice2.wav other.wav",
    ]
    (folder / "trials.txt").write_text("\n".join(lines))
    (folder / "scripts").symlink_to(ROOT / "scripts")  # voices that README names
    # A microphone that hears Alice.
    recorder = folder / "bin" / "arecord"
    recorder.parent.mkdir()
    recorder.write_text("#!/bin/sh\nexec cat unknown.raw\n")
    recorder.chmod(0o755)


@dataclass
class Life:
    """README from top to bottom, in one folder, with the server that it starts."""

    folder: Path
    url: str
    done: dict[str, subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, voice: Callable[..., Float32]) -> Iterator[Life]:
    folder = tmp_path_factory.mktemp("readme")
    prepare(folder, voice)
    port = free_port()
    url = f"ws://127.0.0.1:{port}"
    env = environment(
        VOXWATCH_PORT=str(port), VOXWATCH_URL=url, VOXWATCH_DATA_DIR=str(folder / "data")
    )
    env["PATH"] = f"{folder / 'bin'}{os.pathsep}{env['PATH']}"
    lived = Life(folder, url, {})
    server: subprocess.Popen[str] | None = None
    try:
        for command in (c for c in COMMANDS if not not_run(c)):
            if command == "voxwatch serve":
                server = start(command, folder, env)
            else:
                there = command.replace(DEFAULT_ADDRESS, f"127.0.0.1:{port}")
                lived.done[command] = run(["bash", "-o", "pipefail", "-c", there], folder, env)
        yield lived
    finally:
        if server is not None:
            server.terminate()
            assert server.wait(timeout=30) == 0
            assert server.stdout is not None
            server.stdout.close()


def start(command: str, folder: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    log = (folder / "server.log").open("w")
    server = subprocess.Popen(
        shlex.split(command),
        cwd=folder,
        env={**env, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    log.close()
    assert server.stdout is not None
    assert "ready" in server.stdout.readline(), (folder / "server.log").read_text()
    return server


def test_the_list_of_what_is_not_run_holds_nothing_stale() -> None:
    for beginning in NOT_RUN:
        assert any(command.startswith(beginning) for command in COMMANDS), beginning


@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if not not_run(c) and c != "voxwatch serve"]
)
def test_a_command_runs_as_it_stands(command: str, life: Life) -> None:
    done = life.done[command]
    expected = next((v for k, v in STATUS.items() if command.startswith(k)), (0,))
    assert done.returncode in expected, done.stderr
    output = re.search(r"--output (\S+)", command)
    assert done.stdout.strip() or (output and (life.folder / output[1]).stat().st_size)


@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if "voxwatch stream" in c and "--claim alice" in c]
)
def test_the_server_knows_alice(command: str, life: Life) -> None:
    told = [json.loads(line) for line in life.done[command].stdout.splitlines()]
    assert "match" in [event["state"] for event in told if event["type"] == "decision"]
    assert told[-1]["type"] == "summary"


def test_a_recording_gets_its_verdict(life: Life) -> None:
    (done,) = (done for command, done in life.done.items() if command.startswith("curl"))
    assert json.loads(done.stdout)["state"] == "match"


def test_the_programs_in_the_text_run(life: Life) -> None:
    """They ask for Alice, whom the commands have deleted by now: enrolled again for them."""
    programs = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    env = environment(VOXWATCH_DATA_DIR=str(life.folder / "data"), PYTHONPATH=str(ROOT))
    enrolled = run(["voxwatch", *["enroll", "alice", "alice1.wav", "--consent"]], life.folder, env)
    assert enrolled.returncode == 0, enrolled.stderr
    for program, said in zip(programs, ("match", "obey"), strict=True):
        there = program.replace(f"ws://{DEFAULT_ADDRESS}", life.url)
        done = run([sys.executable, "-c", there], life.folder, env)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout


def test_the_settings_in_the_text_are_the_defaults_and_those_turned_off_are_settings(
    tmp_path: Path,
) -> None:
    settings, proxied = re.findall(r"^```toml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    path = tmp_path / "voxwatch.toml"
    path.write_text(proxied)
    assert load(path, {}, {"data_dir": tmp_path}).forwarded == ("127.0.0.1",)
    path.write_text(settings)
    config = load(path, {}, {"data_dir": tmp_path})
    assert config == Config(data_dir=tmp_path)
    path.write_text(re.sub(r"^# (?=\[|\w+ =)", "", settings, flags=re.MULTILINE))
    turned_on = load(path, {}, {"data_dir": tmp_path})
    assert turned_on.ttl_days == 365
    assert turned_on.mqtt is not None
    assert turned_on.mqtt.host == "127.0.0.1"


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("voxwatch")])
def test_a_command_has_the_options_that_readme_gives_it(command: str) -> None:
    words = shlex.split(command)
    names = words[: 3 if words[1] in ("models", *GROUPS) else 2]
    done = CliRunner().invoke(app, [*names[1:], "--help"])
    assert done.exit_code == 0, done.output
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", done.stdout), option


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[a-z-]+)", README))))
def test_an_option_named_in_the_text_is_one_of_some_command(option: str) -> None:
    sources = [*ROOT.glob("*/cli.py"), *ROOT.glob("*/commands/*.py"), ROOT / "scripts/demo"]
    text = "".join(path.read_text() for path in sources)
    name = option[2:].replace("-", "_")
    assert option in text or re.search(rf"\b{name}: ", text) or option == "--install-completion"


@pytest.mark.parametrize("path", [c for c in COMMANDS if c.startswith("scripts/")])
def test_a_script_that_readme_names_can_be_executed(path: str) -> None:
    assert os.access(ROOT / shlex.split(path)[0], os.X_OK)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_a_link_leads_somewhere(target: str) -> None:
    assert target.startswith("https://") or (ROOT / target).exists(), target
