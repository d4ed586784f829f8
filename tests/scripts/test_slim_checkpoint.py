"""A checkpoint cut to its weights is a start for training and embeds as the whole one does."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="checkpoints need the extra `train`")

import torch

from engine.format import unit
from models.network.block_heads import BlockHeads
from models.network.checkpoint import load_trained
from models.network.embedding import embed
from models.network.streaming import StreamingArchitecture, StreamingNeXtTDNN

SCRIPT = Path(__file__).parents[2] / "scripts" / "slim_checkpoint.py"


def test_weights_alone_embed_as_before(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = StreamingNeXtTDNN(StreamingArchitecture(32, (1, 1, 1), (7, 65))).eval()
    state = {"ema": network.state_dict(), "arch": asdict(network.arch), "step": 5, "config": "{}"}
    torch.save({**state, "optimiser": torch.zeros(1_000_000)}, tmp_path / "last.pt")
    output = tmp_path / "folder" / "slim.pt"
    arguments = [sys.executable, SCRIPT, tmp_path / "last.pt", output]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "step 5" in done.stdout
    assert output.stat().st_size < (tmp_path / "last.pt").stat().st_size / 4
    slim, known = load_trained(output)
    assert known == {"step": 5, "config": "{}"}
    sound = [0.1 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)]
    assert float((unit(embed(slim, sound)) * unit(embed(network, sound))).sum()) > 0.999


def test_a_share_of_every_weight_may_be_another_network_s(tmp_path: Path) -> None:
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = StreamingNeXtTDNN(StreamingArchitecture(32, (1, 1, 1), (7, 65))).eval()
        for norm in (network.bn2, network.bn3):
            norm.running_var.fill_(1.0 + seed)
        states.append(network.state_dict())
        state = {"ema": states[-1], "arch": asdict(network.arch), "step": seed, "config": "{}"}
        torch.save(state, tmp_path / f"{seed}.pt")
    output = tmp_path / "mean.pt"
    share = ["--mean-with", tmp_path / "1.pt", "--share", "0.25"]
    arguments = [sys.executable, SCRIPT, tmp_path / "0.pt", output, *share]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = load_trained(output)[0].state_dict()
    for name, value in found.items():
        if value.is_floating_point():
            wanted = 0.75 * states[0][name] + 0.25 * states[1][name]
            torch.testing.assert_close(value, wanted, atol=1e-3, rtol=1e-3)
    assert float(found["bn2.running_var"][0]) == pytest.approx(1.25)


@pytest.mark.parametrize(
    ("channels", "share", "said"),
    [(16, "0.5", "no mean with"), (32, "1.5", "from 0 to 1, not 1.5"), (32, "nan", "from 0 to 1")],
)
def test_what_has_no_mean_is_refused(tmp_path: Path, channels: int, share: str, said: str) -> None:
    for name, width in (("own", 32), ("other", channels)):
        network = StreamingNeXtTDNN(StreamingArchitecture(width, (1, 1, 1), (7, 65)))
        state = {"ema": network.state_dict(), "arch": asdict(network.arch), "step": 1}
        torch.save(state, tmp_path / f"{name}.pt")
    wanted = ["--mean-with", tmp_path / "other.pt", "--share", share]
    arguments = [sys.executable, SCRIPT, tmp_path / "own.pt", tmp_path / "mean.pt", *wanted]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "mean.pt").exists()


def test_figures_of_heads_go_with_the_heads(tmp_path: Path) -> None:
    network = StreamingNeXtTDNN(StreamingArchitecture(32, (1, 1, 1), (7, 65)))
    network.heads = BlockHeads(network.arch.pooled_channels)
    state = {"ema": network.state_dict(), "arch": asdict(network.arch), "step": 1}
    torch.save({**state, "heads": {"overlap_auc": 0.9}}, tmp_path / "own.pt")
    for options in ([], ["--mean-with", tmp_path / "own.pt"]):
        arguments = [sys.executable, SCRIPT, tmp_path / "own.pt", tmp_path / "slim.pt", *options]
        done = subprocess.run(arguments, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        slim, known = load_trained(tmp_path / "slim.pt")
        assert (slim.heads is None) == ("heads" not in known) == bool(options)
