"""A model bundle is a folder with an ONNX graph, its figures and its score cohort:

    manifest.json   what the model is, how its scores are read, and the sha256 of the rest
    cohort.npy      float16 (N, D), unit rows: embeddings of other speakers, no audio (optional)

and, in format 1,

    model.onnx      waveform (B, samples) float32 at 16 kHz -> embeddings (B, D)

or, in format 2,

    frames.onnx     sound (B, n), frames (B,) int64 and states (B, S) -> sums of blocks, new states
    head.npy        float32 (2 C + 1, D): times the pooled mean and deviation of a span, side by
                    side, it gives the span's embedding; the last row is added

Nothing in it is executed but the ONNX graph, and only after its sha256 was checked.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.errors import BundleError
from engine.format import unit
from engine.model.manifest import (
    COHORT_FILE,
    FRAMES_FILE,
    HEAD_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    Manifest,
)

KNOWN_FILES = frozenset({MODEL_FILE, FRAMES_FILE, HEAD_FILE, COHORT_FILE})
UNIT_TOLERANCE = 5e-3  # of a norm; that of a float16 row of 192 numbers is off by about 5e-4

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A checked bundle: its manifest, where it lies, and its cohort as float32 ``(N, D)``.

    ``head`` is the matrix of a bundle of format 2, ``(2 C + 1, D)``.
    """

    manifest: Manifest
    folder: Path
    cohort: Float32 | None
    head: Float32 | None = None

    @property
    def model_path(self) -> Path:
        """The ONNX graph, whose sha256 was that of the manifest when the bundle was loaded."""
        return self.folder / self.manifest.model_files[0]

    def model_files(self) -> dict[str, bytes]:
        """The files of the network by name, as :func:`write_bundle` takes them."""
        return {name: (self.folder / name).read_bytes() for name in self.manifest.model_files}


def default_bundle_folder() -> Path:
    """Folder of the bundle that ships with voxwatch, found without importing torch's room."""
    spec = importlib.util.find_spec("models")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "bundles" / "default"
        if folder.is_dir():
            return folder
    raise BundleError(
        "the default model bundle is not installed: reinstall voxwatch, or name a bundle folder"
    )


def load_bundle(path: Path | None = None) -> Bundle:
    """Read and check a bundle; ``None`` is the default one.

    Raises :class:`BundleError` when anything of it is missing, damaged or foreign.
    """
    folder = default_bundle_folder() if path is None else _folder(Path(path))
    manifest = _read_manifest(folder)
    for name in manifest.model_files:
        if name not in manifest.sha256:
            raise BundleError(f"{folder / MANIFEST_FILE} states no sha256 of {name}: {_AGAIN}")
    for name, expected in manifest.sha256.items():
        _check_sha256(folder, name, expected)
    cohort = _read_cohort(folder, manifest)
    if manifest.normalisation is not None:
        if cohort is None:
            raise BundleError(f"{folder} normalises scores but has no {COHORT_FILE}: {_AGAIN}")
        if manifest.normalisation.top > len(cohort):
            raise BundleError(
                f"{folder} wants the top {manifest.normalisation.top} of a cohort of {len(cohort)}:"
                " calibrate it again"
            )
    return Bundle(manifest, folder, cohort, _read_head(folder, manifest))


_AGAIN = "fetch or build the bundle again"


def _folder(path: Path) -> Path:
    if path.is_dir():
        return path
    if not path.exists():
        raise BundleError(f"there is no model bundle at {path}: check the path")
    if path.suffix == ".onnx" and not (path.parent / MANIFEST_FILE).exists():
        raise BundleError(
            f"{path} is an ONNX file without a voxwatch manifest: import the checkpoint it was"
            " made from with `voxwatch models import`"
        )
    raise BundleError(f"{path} is a file, but a model bundle is a folder: name the folder")


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST_FILE
    try:
        return msgspec.convert(_without_retired(msgspec.json.decode(path.read_bytes())), Manifest)
    except FileNotFoundError as error:
        if any(folder.glob("*.onnx")):
            raise BundleError(
                f"{folder} has an ONNX file but no {MANIFEST_FILE}: import the checkpoint it was"
                " made from with `voxwatch models import`"
            ) from error
        raise BundleError(
            f"{folder} is no model bundle, for it has no {MANIFEST_FILE}: name another folder"
        ) from error
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleError(
            f"{path} is not a manifest this version reads ({error}): update voxwatch, or {_AGAIN}"
        ) from error


def _without_retired(manifest: Any) -> Any:
    """The manifest without keys that earlier versions wrote and nothing reads any more.

    They belonged to a second look at the end of each window (`glance`), which was removed.
    """
    calibration = manifest.get("calibration") if isinstance(manifest, dict) else None
    evidence = calibration.get("evidence") if isinstance(calibration, dict) else None
    if isinstance(evidence, dict):
        evidence.pop("quick", None)
        for alarm in (evidence.get("takeover"), evidence.get("change")):
            if isinstance(alarm, dict):
                alarm.pop("glance", None)
    return manifest


def _check_sha256(folder: Path, name: str, expected: str) -> None:
    if name not in KNOWN_FILES:  # a path that a manifest makes up is never followed
        raise BundleError(f"{folder / MANIFEST_FILE} lists an unknown file {name!r}: {_AGAIN}")
    try:
        actual = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    except OSError as error:
        raise BundleError(f"cannot read {folder / name}: {error.strerror}; {_AGAIN}") from error
    if actual != expected.lower():
        raise BundleError(
            f"the sha256 of {folder / name} is {actual[:12]}..., not the manifest's"
            f" {expected[:12]}...: the file was damaged or changed; {_AGAIN}"
        )


def _read_cohort(folder: Path, manifest: Manifest) -> Float32 | None:
    if COHORT_FILE not in manifest.sha256:
        return None
    path = folder / COHORT_FILE
    cohort = _read_array(path)
    problem = _cohort_problem(cohort, manifest.embedding_size)
    if problem:
        raise BundleError(f"{path} {problem}: {_AGAIN}")
    return unit(cohort.astype(np.float32))


def _read_head(folder: Path, manifest: Manifest) -> Float32 | None:
    if manifest.frames is None:
        return None
    path = folder / HEAD_FILE
    head = _read_array(path)
    shape = (2 * manifest.frames.pooled_channels + 1, manifest.embedding_size)
    if head.shape != shape or head.dtype not in (np.float16, np.float32):
        raise BundleError(f"{path} holds {head.dtype} {head.shape}, not float32 {shape}: {_AGAIN}")
    return head.astype(np.float32)


def _read_array(path: Path) -> NDArray[Any]:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise BundleError(f"{path} is not an array file: {_AGAIN}") from error


def _cohort_problem(cohort: NDArray[Any], size: int) -> str | None:
    if cohort.ndim != 2 or cohort.shape[1] != size or len(cohort) < 2:
        return f"has shape {cohort.shape}, not (speakers, {size})"
    if cohort.dtype not in (np.float16, np.float32):
        return f"holds {cohort.dtype}, not float16"
    norms = np.linalg.norm(cohort.astype(np.float32), axis=1)
    if not np.all(np.abs(norms - 1) < UNIT_TOLERANCE):
        return "has rows that are not of unit length"
    return None


def write_bundle(
    folder: Path,
    manifest: Manifest,
    model_files: Mapping[str, bytes],
    cohort: NDArray[Any] | None = None,
) -> Bundle:
    """Write a bundle, whole or not at all, and return it as :func:`load_bundle` reads it.

    ``model_files`` are those of ``manifest.model_files`` by name. ``manifest.sha256`` is filled
    in here. A bundle already at ``folder`` is replaced; any other folder with something in it
    is left alone. Raises :class:`BundleError`.
    """
    folder = Path(folder)
    check_output(folder)
    files = dict(model_files)
    if cohort is not None:
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(cohort, np.float16), allow_pickle=False)
        files[COHORT_FILE] = buffer.getvalue()
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    manifest = msgspec.structs.replace(manifest, sha256=digests)
    files[MANIFEST_FILE] = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    try:
        _write_folder(folder, files)
    except OSError as error:
        raise BundleError(
            f"cannot write the bundle to {folder}: {error.strerror}; choose another output"
        ) from error
    return load_bundle(folder)


def check_output(folder: Path, *, uncalibrated: bool = False) -> None:
    """Check before long work that a bundle can be written there. Raises `BundleError`.

    An ``uncalibrated`` bundle does not replace one whose calibration would be lost.
    """
    if folder.exists() and not _replaceable(folder):
        raise BundleError(f"{folder} exists and is not a model bundle: choose another output")
    if uncalibrated and _calibrated(folder):
        raise BundleError(
            f"{folder} holds a bundle with a calibration, or that cannot be read, which would be"
            " lost: choose another output, or delete it first"
        )
    above = next(p for p in (folder.resolve().parent, *folder.resolve().parents) if p.exists())
    if not os.access(above, os.W_OK):
        raise BundleError(f"cannot write the bundle to {folder}: choose another output")


def _replaceable(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    return {p.name for p in folder.iterdir()} <= {MANIFEST_FILE, *KNOWN_FILES}


def _calibrated(folder: Path) -> bool:
    """Whether a folder has a manifest with a calibration, or one that cannot be read."""
    if not (folder / MANIFEST_FILE).exists():
        return False
    try:
        return _read_manifest(folder).calibration is not None
    except BundleError:  # of another version, it may be
        return True


def _write_folder(folder: Path, files: dict[str, bytes]) -> None:
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that the renames stay on one file system.
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        fresh, old = Path(scratch) / "new", Path(scratch) / "old"
        fresh.mkdir()
        for name, data in files.items():
            (fresh / name).write_bytes(data)
        if not folder.exists():
            fresh.rename(folder)
            return
        folder.rename(old)  # a folder with something in it is not replaced in one step
        try:
            fresh.rename(folder)
        except OSError:
            old.rename(folder)
            raise
