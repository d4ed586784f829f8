"""CAM++ against the published implementation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.network.campplus import CAMPPlus, features, load_campplus
from models.network.checkpoint import CheckpointError

REFERENCE = "campplus_reference.npz"
# scripts/setup puts the package's weights there, and a training run keeps its own.
WEIGHTS = sorted(
    (Path(__file__).parents[3] / "runs" / "teacher").glob("**/campplus_cn_en_common.pt")
)


@pytest.fixture(scope="module")
def reference(parity_folder: Path) -> dict[str, np.ndarray]:
    with np.load(parity_folder / REFERENCE) as stored:
        return dict(stored)


def test_features_are_those_of_the_published_front_end(reference: dict[str, np.ndarray]) -> None:
    waveform = torch.from_numpy(reference["waveform"])
    for key in (k for k in reference if k.startswith("features")):
        expected = reference[key]
        samples = (len(expected) - 1) * 160 + 400
        sound = waveform.repeat(2)[:samples]
        np.testing.assert_allclose(features(sound).numpy(), expected, atol=1e-3)


@pytest.mark.skipif(not WEIGHTS, reason="no CAM++ in runs/teacher: scripts/setup fetches it")
def test_embeddings_are_those_of_the_published_network(reference: dict[str, np.ndarray]) -> None:
    network = load_campplus(WEIGHTS[0])
    for key in (k for k in reference if k.startswith("features")):
        with torch.inference_mode():
            found = network(torch.from_numpy(reference[key]).unsqueeze(0))[0].numpy()
        expected = reference[key.replace("features", "embedding")]
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_state_dict_has_the_published_size() -> None:
    parameters = sum(p.numel() for p in CAMPPlus().parameters())
    assert parameters == pytest.approx(6.85e6, rel=0.06)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save(CAMPPlus().state_dict(), path)
    with pytest.raises(CheckpointError, match="is not the published CAM"):
        load_campplus(path)
