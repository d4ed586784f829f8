"""Published checkpoints: where they lie, and how one becomes a bundle.

A download goes to a ``.part`` file, which a later call resumes. It is checked against the
length the server stated and against its sha256 before anything is converted. Where no
sha256 is published, the first download records it in a lock file in the user's data
folder, and every later one must match.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from engine.model.bundle import Bundle, check_output, load_bundle
from engine.model.encoder import Encoder
from models.network.download import DownloadError, fetch, sha256_of
from models.network.packages import PACKAGED, pull_campplus

if TYPE_CHECKING:
    from models.network.export import FloatPrecision

REPOSITORY = "dmlguq456/NeXt_TDNN_ASV"
# The commit whose README says that the trained models lie in `experiments`; the file names
# are those of TEST_CHECKPOINT in the repository's `configs`.
COMMIT = "462626acb268e981099f71845e0523339c8f4cdb"
ADDRESS = f"https://raw.githubusercontent.com/{REPOSITORY}/{COMMIT}/experiments"

LOCK_FILE = "sha256.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One published checkpoint; ``sha256`` is ``None`` where its authors state none."""

    name: str
    url: str
    config: str
    licence: str
    source: str
    sha256: str | None = None


def _official(name: str, config: str, file: str, source: str) -> Entry:
    licence = "Apache-2.0 (code); weights trained on VoxCeleb2"
    return Entry(name, f"{ADDRESS}/{file}", config, licence, source)


def _published() -> dict[str, Entry]:
    source = f"github.com/{REPOSITORY} at {COMMIT[:12]} (Heo et al., ICASSP 2024)"
    names = [
        "NeXt_TDNN_C128_B3_K65_7",
        "NeXt_TDNN_C192_B1_K65_7",
        "NeXt_TDNN_C256_B3_K65_7",
        "NeXt_TDNN_C384_B1_K65_7",
        "NeXt_TDNN_light_C128_B3_K65",
        "NeXt_TDNN_light_C192_B1_K65",
        "NeXt_TDNN_light_C256_B3_K65",
        "NeXt_TDNN_light_C384_B1_K65",
    ]
    entries = [_official(n, n, f"{n}/{n}.pt", source) for n in names]
    cyclical = "NeXt_TDNN_C256_B3_K65_7_cyclical_lr_step"
    entries.append(_official(cyclical, "NeXt_TDNN_C256_B3_K65_7", f"{cyclical}/model.pt", source))
    return {entry.name: entry for entry in entries}


PUBLISHED: Mapping[str, Entry] = _published()


def user_data_folder() -> Path:
    """Where downloads and the lock file are kept: ``$XDG_DATA_HOME/voxwatch`` or its default."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "voxwatch"


def pull(
    name: str,
    output: Path,
    *,
    precision: FloatPrecision = "fp32",
    data_folder: Path | None = None,
    entries: Mapping[str, Entry] = PUBLISHED,
    progress: bool = True,
    say: Callable[[str], None] = tqdm.write,
) -> Bundle:
    """Download the model ``name``, check it, and convert it to a bundle at ``output``.

    ``say`` receives a line when a sha256 is recorded for the first time. Raises
    :class:`DownloadError`, or ``BundleError`` when the file cannot be converted.
    """
    folder = data_folder or user_data_folder()
    if name in PACKAGED:
        return pull_campplus(output, folder / "downloads", precision=precision)
    entry = find(name, entries)
    check_output(output, uncalibrated=True)
    file = folder / "downloads" / f"{name}.pt"
    lock = folder / LOCK_FILE
    pinned = entry.sha256 or _recorded(lock).get(entry.url)
    if not file.exists() or (pinned is not None and sha256_of(file) != pinned):
        fetch(entry.url, file, sha256=pinned, progress=progress)
    actual = sha256_of(file)
    origin = f"{entry.source}; checkpoint sha256 {actual}"
    # Conversion needs torch; listing and checking bundles does not.
    from models.network.checkpoint import CheckpointError, import_checkpoint
    from models.network.export import Identity

    identity = Identity(name, COMMIT[:12], entry.licence, origin)
    try:
        bundle = import_checkpoint(
            file, entry.config, output, identity=identity, precision=precision
        )
    except CheckpointError:
        if pinned is None:  # an error page, say: the next call must fetch again
            file.unlink(missing_ok=True)
        raise
    if pinned is None:  # recorded only once it proved to be a checkpoint
        _record(lock, entry.url, actual)
        say(
            f"no sha256 is published for {name}: recorded {actual} in {lock}; later downloads"
            " must match it"
        )
    return bundle


def find(name: str, entries: Mapping[str, Entry] = PUBLISHED) -> Entry:
    """The published checkpoint called ``name``. Raises :class:`DownloadError`."""
    if name not in entries:
        known = ", ".join([*PACKAGED, *entries])
        raise DownloadError(f"there is no published model {name!r}: choose {known}")
    return entries[name]


def verify(path: Path | None = None) -> Bundle:
    """Check a bundle (None: the default one): manifest, checksums, and that its graph runs.

    Raises ``BundleError`` with what is wrong.
    """
    bundle = load_bundle(path)
    encoder = Encoder(bundle, "cpu")
    noise = np.random.default_rng(0).standard_normal((2, encoder.min_samples)) * 0.1
    encoder.embed(noise.astype(np.float32))
    return bundle


def _recorded(lock: Path) -> dict[str, str]:
    try:
        content = json.loads(lock.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DownloadError(f"{lock} cannot be read: repair it, or delete it") from error
    if not isinstance(content, dict) or not all(isinstance(v, str) for v in content.values()):
        raise DownloadError(f"{lock} does not map addresses to sha256: repair it, or delete it")
    return content


def _record(lock: Path, url: str, sha256: str) -> None:
    content = {**_recorded(lock), url: sha256}
    with tempfile.NamedTemporaryFile("w", dir=lock.parent, delete=False) as file:
        json.dump(content, file, indent=2, sort_keys=True)
    Path(file.name).replace(lock)
