"""What pyproject.toml asks for on each platform, by its markers, and what the locks give it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
GPU_PLATFORMS = [("linux", "x86_64"), ("win32", "AMD64")]
CPU_PLATFORMS = [
    ("darwin", "arm64"),
    ("darwin", "x86_64"),
    ("linux", "aarch64"),
    ("linux", "armv7l"),
    ("win32", "ARM64"),
]

OWN = "voxwatch-client"  # of this repository, installed from it


def asked(requirements: list[str], platform: tuple[str, str]) -> list[Requirement]:
    environment = dict(zip(("sys_platform", "platform_machine"), platform, strict=True))
    parsed = [Requirement(line) for line in requirements]
    return [one for one in parsed if one.marker is None or one.marker.evaluate(environment)]


def runtimes(requirements: list[str], platform: tuple[str, str]) -> list[str]:
    found = asked(requirements, platform)
    return [one.name for one in found if one.name.startswith("onnxruntime")]


@pytest.mark.parametrize("platform", GPU_PLATFORMS)
def test_where_there_is_one_for_gpus_it_is_the_only_onnxruntime(platform: tuple[str, str]) -> None:
    assert runtimes(PROJECT["dependencies"], platform) == ["onnxruntime-gpu"]
    (gpu,) = asked(PROJECT["optional-dependencies"]["gpu"], platform)
    assert gpu.extras == {"cuda", "cudnn"}


@pytest.mark.parametrize("platform", CPU_PLATFORMS)
def test_elsewhere_it_is_the_one_for_cpus(platform: tuple[str, str]) -> None:
    assert runtimes(PROJECT["dependencies"], platform) == ["onnxruntime"]
    assert asked(PROJECT["optional-dependencies"]["gpu"], platform) == []


@pytest.mark.parametrize("platform", GPU_PLATFORMS + CPU_PLATFORMS)
def test_serving_asks_for_no_torch_anywhere(platform: tuple[str, str]) -> None:
    names = {one.name for one in asked(PROJECT["dependencies"], platform)}
    assert not names & {"torch", "torchaudio", "silero-vad", "scipy"}


def locked(name: str) -> list[tuple[Requirement, int]]:
    """The requirements of a lock file, and how many hashes each has."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(Requirement(line.split("--hash")[0]), line.count("--hash=sha256:")) for line in lines]


@pytest.mark.parametrize(
    "name", ["serve", "develop", "tools", "peers/edx", "peers/lti", "peers/home-assistant"]
)
def test_every_locked_package_is_one_version_with_its_hashes(name: str) -> None:
    found = locked(name)
    assert len(found) > 20
    for requirement, hashes in found:
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert hashes, requirement


@pytest.mark.parametrize("platform", GPU_PLATFORMS + CPU_PLATFORMS)
@pytest.mark.parametrize(("name", "extras"), [("serve", ()), ("develop", ("train", "dev", "lti"))])
def test_the_lock_gives_what_is_asked_for(
    platform: tuple[str, str], name: str, extras: tuple[str, ...]
) -> None:
    """A dependency that was added or raised without `scripts/lock` is told here."""
    wanted = [line for line in PROJECT["dependencies"] if not line.startswith(OWN)] + [
        line for extra in extras for line in PROJECT["optional-dependencies"][extra]
    ]
    given: dict[str, str] = {}
    for one in asked([str(requirement) for requirement, _ in locked(name)], platform):
        assert one.name not in given, f"{one.name} has two versions on {platform}"
        given[one.name] = str(one.specifier).removeprefix("==")
    for requirement in asked(wanted, platform):
        version = given[requirement.name.lower().replace("_", "-")]
        assert requirement.specifier.contains(version, prereleases=True), requirement


# What speaks LTI is loaded only where platforms are registered.
WITH_EXTRA_ALONE = {
    "streamer.lti.control",
    "streamer.lti.courier",
    "streamer.lti.http",
    "streamer.lti.keys",
    "streamer.lti.library",
    "streamer.lti.pages",
    "streamer.lti.tool",
    "streamer.lti.visits",
    "streamer.server.http.lti",
    "streamer.server.lti",
}
LOADING = """
import importlib, pkgutil, sys
import engine, streamer
from streamer.cli import EXTRAS

absent = {*EXTRAS, "av", "psycopg", "weasyprint"}

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
for room in (engine, streamer):
    for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if error.name.partition(".")[0] not in absent:
                raise
            print(module.name)
"""


def test_an_installation_without_extras_lacks_nothing_else() -> None:
    """Whatever a command or the server imports, and when: no tests run without the extras."""
    done = subprocess.run(
        [sys.executable, "-c", LOADING], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == WITH_EXTRA_ALONE
