"""docs/LTI.md: its configuration loads, its commands run, and it says what the code does."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ports import free_port

from engine.model.bundle import Bundle
from streamer.config import Config
from streamer.config_sources import load
from streamer.lti.control import SEVERITY
from streamer.lti.platform import Platform
from streamer.server.server import Server

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "LTI.md").read_text()
ADDRESS = "https://voice.example.org"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def commands() -> str:
    """All of the console blocks in one script: what a user would have typed."""
    typed = "\n".join(blocks("console"))
    return "".join(re.findall(r"^\$ ((?:.*\\\n)*.*\n)", typed, re.MULTILINE))


@pytest.fixture
def config(tmp_path: Path, spectral_bundle: Bundle) -> Config:
    (toml,) = blocks("toml")
    port = free_port()
    path = tmp_path / "config.toml"
    path.write_text(toml.replace(ADDRESS, f"http://127.0.0.1:{port}"))
    told = {"data_dir": tmp_path / "data", "bundle": spectral_bundle.folder, "port": port}
    return load(path, {"HOME": str(tmp_path)}, told | {"provider": "cpu", "threads": 1})


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl: apt-get install curl")
async def test_the_commands_do_what_they_say(config: Config, tmp_path: Path) -> None:
    env = os.environ | {
        "VOXWATCH_CONFIG": str(tmp_path / "config.toml"),
        "VOXWATCH_DATA_DIR": str(config.data_dir),
    }
    own = f'voxwatch() {{ "{sys.executable}" -m streamer.cli "$@"; }}\n'
    async with Server(config, drain_s=0.2) as server:
        script = own + commands().replace(ADDRESS, server.url)

        def run() -> Any:
            command = ["bash", "-euo", "pipefail", "-c", script]
            return subprocess.run(command, capture_output=True, env=env, cwd=ROOT, text=True)

        done = await asyncio.to_thread(run)
        assert done.returncode == 0, done.stderr
        keys, _, rest = done.stdout.partition("}]}")
        login, made, head, *listed = rest.strip().splitlines()
        (key,) = json.loads(keys + "}]}")["keys"]
        assert login.startswith("302 https://lms.example.org/mod/lti/auth.php?")
        assert re.search(r" signs from .* on$", made)
        assert head.split()[0] == "key"
        assert [line.split()[0] for line in listed] == [key["kid"], made.split()[0]]


def test_every_setting_is_named() -> None:
    (toml,) = blocks("toml")
    for field in msgspec.structs.fields(Platform):
        assert f"{field.name} = " in toml or f"`{field.name}`" in TEXT


def test_severities_are_those_of_the_code() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (0\.\d) \|$", TEXT, re.MULTILINE))
    assert rows == SEVERITY
