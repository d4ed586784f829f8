"""The mean of two checkpoints: each weight half of one and half of the other."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="checkpoints need the extra `train`")

import torch

from models.network.checkpoint import load_trained
from models.network.streaming import StreamingArchitecture, StreamingNeXtTDNN

SCRIPT = Path(__file__).parents[2] / "scripts" / "average_checkpoints.py"


def saved(path: Path, seed: int, channels: int = 32) -> StreamingNeXtTDNN:
    torch.manual_seed(seed)
    network = StreamingNeXtTDNN(StreamingArchitecture(channels, (1, 1, 1), (7, 65))).eval()
    state = {"ema": network.state_dict(), "arch": asdict(network.arch)}
    torch.save({**state, "step": seed, "config": "{}"}, path)
    return network


def averaged(folder: Path) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, SCRIPT, folder / "one.pt", folder / "two.pt", folder / "mean.pt"]
    return subprocess.run(arguments, capture_output=True, text=True)


def test_every_weight_is_the_mean_of_both(tmp_path: Path) -> None:
    one, two = saved(tmp_path / "one.pt", 1), saved(tmp_path / "two.pt", 2)
    done = averaged(tmp_path)
    assert done.returncode == 0, done.stderr
    mean, known = load_trained(tmp_path / "mean.pt")
    assert known == {"step": 2, "config": "{}"}
    for name, value in mean.state_dict().items():
        own, other = one.state_dict()[name].double(), two.state_dict()[name].double()
        torch.testing.assert_close(value.double(), (own + other) / 2)


def test_networks_of_two_shapes_have_no_mean(tmp_path: Path) -> None:
    saved(tmp_path / "one.pt", 1)
    saved(tmp_path / "two.pt", 2, channels=64)
    done = averaged(tmp_path)
    assert done.returncode == 1
    assert "different shapes" in done.stderr
    assert not (tmp_path / "mean.pt").exists()
