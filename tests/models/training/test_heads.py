"""Heads: fitted on what a network says of mixtures, and measured on others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from typer.testing import CliRunner

from models.cli import app
from models.network.checkpoint import load_trained
from models.network.streaming import StreamingArchitecture, StreamingNeXtTDNN
from models.training import heads as training
from models.training.heads import (
    Described,
    HeadsError,
    auc,
    fit_heads,
    measure_heads,
    train_heads,
)

POOLED = 4


def described(mixtures: int, seed: int) -> Described:
    """Features ``(M, 60, 24)`` that hold the truth, linearly; half of it is not known."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(mixtures, 60, 6 * POOLED, generator=generator)
    overlap = (features[..., 0] > 0.5).float()
    snr, c50 = 12 + 6 * features[..., 1], 10 + 4 * features[..., 2]
    truth = torch.stack([overlap, snr, c50], dim=-1)
    truth[::2, :, 1], truth[1::2, :, 2] = torch.nan, torch.nan
    features = 3 + 0.1 * features  # they come neither centred nor scaled
    return Described(features.half(), truth)


@pytest.fixture(scope="module")
def found() -> Iterator[training.BlockHeads]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "BATCH_BLOCKS", 100)
        patch.setattr(training, "DROPOUT", 0.0)
        yield fit_heads(described(200, seed=1), POOLED, seed=0)


def test_what_the_features_hold_is_found(found: training.BlockHeads) -> None:
    figures = measure_heads(found, described(40, seed=2))
    assert figures.mixtures == 40
    assert figures.overlap_auc > 0.98
    assert figures.overlap_found > 0.8 > 0.1 > figures.overlap_false
    assert figures.snr_mae_db < 1.5 < 4.5 < figures.snr_spread_db
    assert figures.c50_mae_db < 1.5 < 3.0 < figures.c50_spread_db
    assert figures.snr_mae_6s_db < figures.snr_mae_db


def test_the_same_seed_gives_the_same_heads(found: training.BlockHeads) -> None:
    again = fit_heads(described(200, seed=1), POOLED, seed=0)
    for name, value in found.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_auc_counts_pairs_in_the_right_order() -> None:
    target = np.array([True, True, False, False])
    assert auc(np.array([3.0, 1.0, 2.0, 0.0]), target) == 0.75
    assert auc(np.array([1.0, 1.0, 1.0, 1.0]), target) == 0.5
    with pytest.raises(HeadsError, match="in all blocks or in none"):
        auc(np.zeros(2), np.array([True, True]))


@pytest.fixture
def checkpoint(tiny_streaming_network: Callable[..., StreamingNeXtTDNN], tmp_path: Path) -> Path:
    joined = StreamingArchitecture(
        16, (1, 2, 1), (3, 9), 24, ahead_frames=4, delay_frames=25, stride=2
    )
    network = tiny_streaming_network(joined)
    path = tmp_path / "last.pt"
    state = {"ema": network.state_dict(), "arch": asdict(network.arch), "step": 7, "config": "{}"}
    torch.save(state, path)
    return path


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """Forty pieces of noise, about a quarter of which training leaves alone."""
    folder, rng = tmp_path / "noise", np.random.default_rng(0)
    folder.mkdir()
    for number in range(40):
        sf.write(folder / f"{number}.wav", 0.1 * rng.standard_normal(24_000), 16_000)
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, corpus_cache: Path, tmp_path: Path) -> Path:
    """A cache with noise enough for a mixture; few mixtures and two rooms."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("speech.i16", "index.csv", "rooms.npy"):
        (cache / name).symlink_to(corpus_cache / name)
    long = np.random.default_rng(0).standard_normal(8 * 16_000)
    np.save(cache / "noise.npy", long.astype(np.float16))
    monkeypatch.setattr(training, "MIXTURES", 24)
    monkeypatch.setattr(training, "MEASURED_MIXTURES", 16)
    monkeypatch.setattr(training, "ROOMS", 2)
    return cache


def test_a_checkpoint_gets_heads_and_is_otherwise_as_it_was(
    checkpoint: Path, small: Path, noise: Path, tmp_path: Path
) -> None:
    (tmp_path / "heldout.txt").write_text("s00\ns01\ns02\ns03\n")
    output = tmp_path / "heads.pt"
    heldout = tmp_path / "heldout.txt"
    figures = train_heads(checkpoint, small, heldout, noise, output, progress=False)
    network, known = load_trained(output)
    assert known["heads"] == asdict(figures)
    assert known["step"] == 7
    assert network.heads is not None
    network.heads = None
    before = load_trained(checkpoint)[0].state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_command_trains_them_and_says_how_well(
    checkpoint: Path, small: Path, noise: Path, tmp_path: Path
) -> None:
    heldout, output = tmp_path / "heldout.txt", tmp_path / "heads.pt"
    heldout.write_text("s00\ns01\ns02\ns03\n")
    options = {"cache": small, "heldout": heldout, "noise": noise, "output": output}
    asked = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    done = CliRunner().invoke(app, ["models", "heads", str(checkpoint), *asked])
    assert done.exit_code == 0, done.output
    auc_said = load_trained(output)[1]["heads"]["overlap_auc"]
    assert f"{auc_said:.3f}" in done.stdout


@pytest.mark.parametrize("names", ["", "s00\n", "s00\nnobody\n"])
def test_a_list_of_another_run_is_refused(
    names: str, checkpoint: Path, small: Path, noise: Path, tmp_path: Path
) -> None:
    heldout = tmp_path / "heldout.txt"
    heldout.write_text(names)
    with pytest.raises(HeadsError, match="use the list and the cache of one training run"):
        train_heads(checkpoint, small, heldout, noise, tmp_path / "heads.pt")
    with pytest.raises(HeadsError, match="name the cache"):
        train_heads(checkpoint, tmp_path / "none", heldout, noise, tmp_path / "heads.pt")
    with pytest.raises(HeadsError, match="is the checkpoint itself"):
        train_heads(checkpoint, small, heldout, noise, checkpoint)
