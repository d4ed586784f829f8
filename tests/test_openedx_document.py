"""docs/OPENEDX.md: its configuration loads, its commands run, its provider is the package's."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.model.bundle import Bundle
from streamer.config import Config, OpenEdx
from streamer.config_sources import load
from streamer.server.server import Server

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "OPENEDX.md").read_text()
PYTHON = ROOT / ".venv-peers" / "edx" / "bin" / "python"
ADDRESS = "https://voice.example.org"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def commands() -> str:
    """All of the console blocks in one script: what a user would have typed."""
    typed = "\n".join(blocks("console"))
    return "".join(re.findall(r"^\$ ((?:.*\\\n)*.*\n)", typed, re.MULTILINE))


@pytest.fixture
def config(tmp_path: Path, spectral_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Config:
    (toml,) = blocks("toml")
    path = tmp_path / "config.toml"
    path.write_text(toml)
    for name in ("OPENEDX_SECRET", "LMS_SECRET"):
        monkeypatch.setenv(name, secrets.token_hex(32))
    told = {"data_dir": tmp_path / "data", "bundle": spectral_bundle.folder, "port": 0}
    return load(path, {"HOME": str(tmp_path)}, told | {"provider": "cpu", "threads": 1})


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl: apt-get install curl")
async def test_the_commands_do_what_they_say(config: Config) -> None:
    assert len(re.findall("curl", commands())) == 3
    async with Server(config, drain_s=0.2) as server:
        script = commands().replace(ADDRESS, server.url)
        # The server has its secret already; the command that makes one would make another.
        script = re.sub(r"^export OPENEDX_SECRET=.*$", "", script, flags=re.MULTILINE)

        def run() -> Any:
            return subprocess.run(
                ["bash", "-euo", "pipefail", "-c", script], capture_output=True, env=os.environ
            )

        done = await asyncio.to_thread(run)
        assert done.returncode == 0, done.stderr
        assert b'"name":"voxwatch"' in done.stdout
        exam = json.loads(done.stdout[done.stdout.rindex(b'{"id"') :])
        assert exam["rules"] == {"expect_speech": False}


def test_the_secret_that_it_makes_is_long_enough() -> None:
    (line,) = re.findall(r"^\$ export OPENEDX_SECRET=\$\((.*)\)$", TEXT, re.MULTILINE)
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    made = subprocess.run(line.split(), check=True, capture_output=True, text=True).stdout.strip()
    assert len(made) == 64


def test_the_provider_is_one_of_the_packages() -> None:
    if not PYTHON.exists():
        pytest.skip("no edx-proctoring in .venv-peers/edx: scripts/setup installs it")
    provider, settings = blocks("python")
    program = (
        "from django.conf import settings\n"
        "settings.configure(PROCTORING_SETTINGS={}, SITE_NAME='x', PLATFORM_NAME='x')\n"
        f"{provider}\n{settings}\n"
        "made = Voxwatch(**PROCTORING_BACKENDS['voxwatch'])\n"
        "print(made.config_url, made.client_id)\n"
    )
    run = [PYTHON, "-W", "ignore", "-c", program]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-2:] == [f"{ADDRESS}/api/v1/config/", "campus"]


def test_every_setting_is_named() -> None:
    (toml,) = blocks("toml")
    for field in msgspec.structs.fields(OpenEdx):
        assert f"{field.name} = " in toml or f"`openedx.{field.name}`" in TEXT
