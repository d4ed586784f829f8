"""What is built for others: the wheel and the source archive, looked into."""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NETWORK = "engine/speech/silero/silero_vad.onnx"
LICENCE = "engine/speech/silero/LICENSE"
# What a wheel holds beside modules. Reports and measurements are not among it.
DATA = (
    NETWORK,
    LICENCE,
    "models/bundles/default/*",
    "models/configs/*.toml",
    "*/py.typed",
    "streamer/WIRE.md",
    "streamer/dashboard/*",
    "streamer/reports/forms/style.css",
    "voxwatch-*.dist-info/*",
)


def build(target: str, source: Path, folder: Path) -> Path:
    """The one file that hatchling builds, offline: its hook may fetch nothing."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)],
        cwd=source,
        env={**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)},
        check=True,
        capture_output=True,
    )
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as opened:
        return opened.namelist()


def test_a_wheel_holds_the_detector_with_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        assert opened.read(NETWORK) == (ROOT / NETWORK).read_bytes()
        assert b"MIT License" in opened.read(LICENCE)


def test_a_wheel_holds_every_module_and_the_built_in_bundle(names: list[str]) -> None:
    rooms = ("engine", "streamer", "models")
    modules = {str(p.relative_to(ROOT)) for room in rooms for p in (ROOT / room).rglob("*.py")}
    assert modules <= set(names)
    assert {f"{room}/py.typed" for room in rooms} <= set(names)
    bundle = ROOT / "models" / "bundles" / "default"
    assert {str(p.relative_to(ROOT)) for p in bundle.iterdir()} <= set(names)


def test_a_wheel_holds_no_reports_and_nothing_else_that_is_not_used(names: list[str]) -> None:
    others = [name for name in names if not name.endswith(".py")]
    assert [one for one in others if not any(fnmatch.fnmatch(one, p) for p in DATA)] == []


def test_a_wheel_can_be_built_offline_from_a_source_archive(
    tmp_path: Path, names: list[str]
) -> None:
    archive = build("sdist", ROOT, tmp_path / "sdist")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    source = tmp_path / archive.name.removesuffix(".tar.gz")
    assert (source / NETWORK).read_bytes() == (ROOT / NETWORK).read_bytes()
    with zipfile.ZipFile(build("wheel", source, tmp_path / "again")) as opened:
        again = set(opened.namelist())
    # The archive has the dashboard's source; what npm makes of it is built from there.
    assert again == {name for name in names if not name.startswith("streamer/dashboard/")}
    shutil.rmtree(source)
