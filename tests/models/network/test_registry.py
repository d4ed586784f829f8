from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from engine.errors import BundleError
from engine.model.bundle import Bundle, write_bundle
from engine.model.manifest import MODEL_FILE
from models.network import registry
from models.network.architectures import ARCHITECTURES
from models.network.checkpoint import CheckpointError
from models.network.download import DownloadError
from models.network.next_tdnn import NeXtTDNN
from models.network.registry import LOCK_FILE, PUBLISHED, Entry, pull

Site = Any  # the misbehaving server of conftest


def checkpoint(network: NeXtTDNN, folder: Path) -> bytes:
    """A checkpoint of ``network`` in the official layout."""
    state = network.state_dict()
    torch.save({"state_dict": {f"speaker_net.{k}": v for k, v in state.items()}}, folder / "c.pt")
    return (folder / "c.pt").read_bytes()


@pytest.fixture
def entries(
    site: Site,
    tmp_path: Path,
    tiny_network: Callable[..., NeXtTDNN],
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Entry]:
    network = tiny_network()
    monkeypatch.setitem(ARCHITECTURES, "tiny", network.arch)
    site.body = checkpoint(network, tmp_path)
    return {"some": Entry("some", site.url, "tiny", "Apache-2.0", "a test server")}


def pulled(entries: dict[str, Entry], folder: Path, said: list[str]) -> Bundle:
    return pull(
        "some",
        folder / "bundle",
        data_folder=folder / "data",
        entries=entries,
        progress=False,
        say=said.append,
    )


@pytest.mark.usefixtures("exported")
def test_pull_records_the_first_sha256_and_then_holds_to_it(
    site: Site, entries: dict[str, Entry], tmp_path: Path
) -> None:
    said: list[str] = []
    bundle = pulled(entries, tmp_path, said)
    digest = hashlib.sha256(site.body).hexdigest()
    assert bundle.manifest.licence == "Apache-2.0"
    assert digest in bundle.manifest.source
    lock = tmp_path / "data" / LOCK_FILE
    assert json.loads(lock.read_text()) == {site.url: digest}
    assert len(said) == 1
    assert digest in said[0]

    (tmp_path / "data" / "downloads" / "some.pt").unlink()
    site.body, site.etag = site.body[:-1] + b"?", '"two"'
    with pytest.raises(DownloadError, match="damaged or changed"):
        pulled(entries, tmp_path, said)


def test_pull_fetches_nothing_where_a_calibration_would_be_lost(
    site: Site, entries: dict[str, Entry], tmp_path: Path, spectral_bundle: Bundle
) -> None:
    shutil.copytree(spectral_bundle.folder, tmp_path / "bundle")
    with pytest.raises(
        BundleError, match="with a calibration, or that cannot be read, which would be lost"
    ):
        pulled(entries, tmp_path, [])
    assert site.ranges == []


def test_pull_holds_to_a_published_sha256(
    site: Site, entries: dict[str, Entry], tmp_path: Path
) -> None:
    pinned = {"some": replace(entries["some"], sha256="0" * 64)}
    with pytest.raises(DownloadError, match="damaged or changed"):
        pulled(pinned, tmp_path, [])
    assert not (tmp_path / "bundle").exists()
    assert not (tmp_path / "data" / LOCK_FILE).exists()


def test_an_error_page_is_neither_recorded_nor_kept(
    site: Site, entries: dict[str, Entry], tmp_path: Path
) -> None:
    site.body = b"<!DOCTYPE html><title>moved</title>"
    with pytest.raises(CheckpointError, match="is not a torch checkpoint"):
        pulled(entries, tmp_path, [])
    assert not (tmp_path / "data" / LOCK_FILE).exists()
    assert not (tmp_path / "data" / "downloads" / "some.pt").exists()


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="NeXt_TDNN_C256_B3_K65_7"):
        pull("none", tmp_path)


def test_published_entries_are_pinned_and_have_an_architecture() -> None:
    for name, entry in PUBLISHED.items():
        assert entry.name == name
        assert entry.config in ARCHITECTURES
        assert entry.url.startswith(f"https://raw.githubusercontent.com/{registry.REPOSITORY}/")
        assert registry.COMMIT in entry.url
        assert entry.url.endswith(".pt")


def test_the_data_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert registry.user_data_folder() == tmp_path / "voxwatch"
    monkeypatch.delenv("XDG_DATA_HOME")
    assert registry.user_data_folder() == Path.home() / ".local" / "share" / "voxwatch"


def test_verify_runs_the_graph(spectral_bundle: Bundle, tmp_path: Path) -> None:
    assert registry.verify(spectral_bundle.folder).manifest == spectral_bundle.manifest
    with pytest.raises(BundleError):
        registry.verify(tmp_path / "none")
    # Whole by its checksums, but its weights give what is no number.
    model = onnx.load(spectral_bundle.model_path)
    (floor,) = (weight for weight in model.graph.initializer if weight.name == "floor")
    floor.CopyFrom(numpy_helper.from_array(np.array(-1e9, np.float32), "floor"))
    files = {MODEL_FILE: model.SerializeToString()}
    write_bundle(tmp_path / "bad", spectral_bundle.manifest, files)
    with pytest.raises(BundleError, match="not finite"):
        registry.verify(tmp_path / "bad")
