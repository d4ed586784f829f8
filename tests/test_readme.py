"""Every command in README.md works as it stands there, or at least exists with its options."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from engine.vad import SAMPLE_RATE_HZ

Float32 = NDArray[np.float32]
ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()

# Commands by how they begin, and why they are not run here. Those of `voxwatch` must still
# exist, with every option that README gives them.
NOT_RUN = {
    "scripts/test": "it runs this test",
    "scripts/demo": "tests/scripts/test_demo.py runs it",
    "pip download": "it needs the network",
    "python -m zipfile": "it unpacks that download",
    "pip install": "scripts/environment.sh runs it, and it takes minutes",
    "voxwatch evaluate speakers": "all conditions with plots; the list before it is run",
    "voxwatch models pull": "it needs the network",
    "voxwatch models import": "it needs a checkpoint of some 30 MB",
    "voxwatch models export": "it needs a trained network",
    "voxwatch calibrate": "it needs a prepared corpus",
    "voxwatch train": "it takes an hour",
}


def console_commands() -> list[str]:
    """Lines after a ``$`` in the ``console`` blocks, continued lines joined."""
    blocks = re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


COMMANDS = console_commands()
STATUS = {"voxwatch verify": (0, 1)}  # a decision either way


def not_run(command: str) -> bool:
    return any(command.startswith(beginning) for beginning in NOT_RUN)


def run(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PATH": scripts},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def recordings(tmp_path: Path, voice: Callable[..., Float32]) -> Path:
    """A folder with the files that README names."""
    alice = [voice("anna", 8, seed=seed) for seed in range(4)]
    other = voice("bert", 8, seed=5)
    for name, samples in (
        ("alice1.wav", alice[0]),
        ("alice2.wav", alice[1]),
        ("unknown.wav", alice[2]),
        ("other.wav", other),
        ("call.wav", np.stack([other, alice[3]], axis=1)),
    ):
        sf.write(tmp_path / name, samples, SAMPLE_RATE_HZ)
    lines = [
        "1 alice1.wav alice2.wav",
        "1 alice1.wav unknown.wav",
        "0 alice1.wav other.wav",
        "0 alice2.wav other.wav",
    ]
    (tmp_path / "trials.txt").write_text("\n".join(lines))
    return tmp_path


def test_the_list_of_what_is_not_run_holds_nothing_stale() -> None:
    for beginning in NOT_RUN:
        assert any(command.startswith(beginning) for command in COMMANDS), beginning


@pytest.mark.parametrize("command", [c for c in COMMANDS if not not_run(c)])
def test_a_command_runs_as_it_stands(command: str, recordings: Path) -> None:
    done = run(shlex.split(command), recordings)
    expected = next((v for k, v in STATUS.items() if command.startswith(k)), (0,))
    assert done.returncode in expected, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("voxwatch")])
def test_a_command_has_the_options_that_readme_gives_it(command: str) -> None:
    words = shlex.split(command)
    names = words[: 3 if words[1] == "models" else 2]
    done = run([*names, "--help"], ROOT)
    assert done.returncode == 0, done.stderr
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", done.stdout), option


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[a-z-]+)", README))))
def test_an_option_named_in_the_text_is_one_of_some_command(option: str) -> None:
    sources = [*ROOT.glob("*/cli.py"), ROOT / "models/bundle_commands.py", ROOT / "scripts/demo"]
    text = "".join(path.read_text() for path in sources)
    name = option[2:].replace("-", "_")
    assert option in text or re.search(rf"\b{name}: ", text) or option == "--install-completion"


@pytest.mark.parametrize("path", [c for c in COMMANDS if c.startswith("scripts/")])
def test_a_script_that_readme_names_can_be_executed(path: str) -> None:
    assert os.access(ROOT / shlex.split(path)[0], os.X_OK)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_a_link_leads_somewhere(target: str) -> None:
    assert target.startswith("https://") or (ROOT / target).exists(), target
