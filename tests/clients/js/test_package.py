"""What `npm pack` makes of the client: what is in it, and what its README shows done with it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import tomllib
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.js.conftest import CLIENT, NODE, Serve, token_of

ROOT = CLIENT.parents[1]
README = (CLIENT / "README.md").read_text()
PROGRAMS = re.findall(r"```js\n(.*?)```", README, re.DOTALL)
TOKEN = "of the README"
URL = "http://localhost:8765"


def test_it_holds_every_module_with_its_types_and_nothing_else(package: Path) -> None:
    found = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    sources = [path.relative_to(CLIENT / "src") for path in (CLIENT / "src").rglob("*.ts")]
    built = {f"dist/{one.with_suffix(end)}" for one in sources for end in (".js", ".d.ts")}
    assert found == built | {"package.json", "README.md", "LICENSE"}


def test_it_has_no_dependency_and_the_version_of_all_of_us(package: Path) -> None:
    described = json.loads((package / "package.json").read_text())
    assert "dependencies" not in described
    versions = [
        tomllib.loads((ROOT / place / "pyproject.toml").read_text())["project"]["version"]
        for place in ("", "clients/python")
    ]
    assert {described["version"]} == set(versions)
    assert f"voxwatch-client-{described['version']}.tgz" in README


def test_what_a_bundler_is_told_about_is_there(package: Path) -> None:
    exports = json.loads((package / "package.json").read_text())["exports"]
    places = [exports["./capture.js"], *exports["."].values()]
    assert [place for place in places if not (package / place).is_file()] == []
    capture = (package / exports["./capture.js"]).read_text()
    assert not re.search(r"^import ", capture, re.MULTILINE)  # it is handed on as it is


def test_no_page_of_the_dashboard_has_code_of_the_client() -> None:
    """What the package exports is defined there alone."""
    names = re.findall(r"export (?:abstract )?class (\w+)", _sources(CLIENT / "src"))
    assert {"Voxwatch", "Stream", "Microphone"} <= set(names)
    ours = set(re.findall(r"(?:class|function) (\w+)", _sources(ROOT / "web" / "src")))
    assert ours.isdisjoint(names)


def _sources(folder: Path) -> str:
    return "\n".join(path.read_text() for path in folder.rglob("*.ts"))


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
async def test_what_the_readme_shows_runs(
    serve: Serve, package: Path, tmp_path: Path, said: Callable[..., str], number: int
) -> None:
    source = PROGRAMS[number]
    tokens = (token_of(TOKEN, "stream"),) if "VOXWATCH_TOKEN" in source else ()
    modules = tmp_path / "node_modules"
    shutil.copytree(package, modules / "voxwatch-client")
    (modules / "ws").symlink_to(CLIENT / "node_modules" / "ws")
    quiet = (None, 1.0)
    shutil.copy(said(("anna", 4.0), quiet), tmp_path / "call.raw")
    shutil.copy(said(quiet, ("bert", 12.0), quiet, ("bert", 12.0), quiet), tmp_path / "bob.raw")
    with wave.open(str(tmp_path / "turn.wav"), "wb") as wav:
        wav.setparams((1, 2, 16_000, 0, "NONE", ""))
        wav.writeframes((tmp_path / "call.raw").read_bytes())
    async with serve(name="alice", tokens=tokens) as server:
        program = tmp_path / "shown.mjs"
        assert URL in source
        program.write_text(source.replace(URL, server.url))
        process = await asyncio.create_subprocess_exec(
            str(NODE),
            str(program),
            cwd=tmp_path,
            env={**os.environ, "VOXWATCH_TOKEN": TOKEN},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    expected = ("", "match", "unknown-speaker")[number]
    assert expected in out.decode()
    assert out.decode().strip()


def test_every_program_of_the_readme_is_run() -> None:
    blocks = re.findall(r"^```(\w+)", README, re.MULTILINE)
    assert sorted(blocks) == ["console", "html", "js", "js", "js"]  # html: test_browser.py


def test_the_commands_of_the_readme_are_those_that_there_are() -> None:
    scripts = json.loads((CLIENT / "package.json").read_text())["scripts"]
    assert set(re.findall(r"npm run (\w+)", README)) <= set(scripts)
