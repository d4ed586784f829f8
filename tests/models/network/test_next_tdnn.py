from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.network.frontend import LogMel
from models.network.next_tdnn import Architecture, NeXtTDNN

PUBLISHED = [
    "NeXt_TDNN_C128_B3_K65_7",
    "NeXt_TDNN_C192_B1_K65_7",
    "NeXt_TDNN_light_C192_B1_K65",
    "NeXt_TDNN_light_C256_B3_K65",
    "NeXt_TDNN_light_C384_B1_K65",
]


def test_every_reference_configuration_is_tested(reference: dict[str, Any]) -> None:
    assert sorted(reference) == sorted(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_weights_have_the_official_names_and_shapes(
    name: str, reference: dict[str, Any], reference_network: Callable[[str], NeXtTDNN]
) -> None:
    ours = {k: list(v.shape) for k, v in reference_network(name).state_dict().items()}
    assert ours == {k: v[0] for k, v in reference[name]["state"].items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_embedding_agrees_with_the_official_implementation(
    name: str,
    reference: dict[str, Any],
    reference_network: Callable[[str], NeXtTDNN],
    reference_waveform: NDArray[np.float32],
) -> None:
    with torch.no_grad():
        features = LogMel()(torch.from_numpy(reference_waveform)[None])
        found = reference_network(name)(features)[0].numpy()
    expected = np.array(reference[name]["embedding"])
    assert np.linalg.norm(found - expected) < 1e-4 * np.linalg.norm(expected)


def test_features_of_the_official_front_end_give_the_same_embedding(
    parity_folder: Path,
    reference: dict[str, Any],
    reference_network: Callable[[str], NeXtTDNN],
) -> None:
    features = torch.from_numpy(np.load(parity_folder / "features.npy"))[None]
    with torch.no_grad():
        found = reference_network(PUBLISHED[1])(features)[0].numpy()
    expected = np.array(reference[PUBLISHED[1]]["embedding"])
    assert np.linalg.norm(found - expected) < 1e-4 * np.linalg.norm(expected)


# Forward and backward of every narrow width, as a training step in bf16 has them.
NARROW = """
import torch
from models.network.next_tdnn import DepthwiseConv
for width in (8, 16, 24, 32, 48):
    for taps in (7, 15, 31, 65):
        conv = DepthwiseConv(width, taps)
        x = torch.randn(4, 100, width)
        with torch.autocast("cpu", torch.bfloat16):
            y = conv(x)
        torch.autograd.backward(y.float().square().sum())
        torch.testing.assert_close(y.float(), conv(x), rtol=0.05, atol=0.05)
"""


def test_no_narrow_convolution_hangs_in_bf16() -> None:
    """In a process of its own: nothing interrupts a hang in oneDNN (seen on CPUs with AMX)."""
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", NARROW], cwd=root, check=True, timeout=120)


@pytest.mark.parametrize("light", [False, True])
def test_rows_of_a_batch_do_not_see_each_other(
    light: bool, tiny_network: Callable[..., NeXtTDNN]
) -> None:
    network = tiny_network(light=light)
    features = torch.randn(3, 80, 57, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        together, alone = network(features), network(features[1:2])
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kernel_sizes": (7, 64)},
        {"kernel_sizes": ()},
        {"kernel_sizes": (7, 65), "light": True},
        {"channels": 127},
        {"depths": (3, 0, 3)},
    ],
)
def test_impossible_architectures_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Architecture(**wrong)
