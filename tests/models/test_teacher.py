"""The teacher's arithmetic, with random weights in its published layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint import CheckpointError
from models.teacher import Teacher


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    lstm, linear = torch.nn.LSTM(40, 256, 3, batch_first=True), torch.nn.Linear(256, 256)
    state = {f"lstm.{k}": v for k, v in lstm.state_dict().items()}
    state |= {f"linear.{k}": v for k, v in linear.state_dict().items()}
    state |= {"similarity_weight": torch.ones(1), "similarity_bias": torch.zeros(1)}
    path = tmp_path / "pretrained.pt"
    torch.save({"step": 1, "model_state": state}, path)
    return path


def test_other_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"model_state": {"lstm.weight_ih_l0": torch.ones(2)}}, path)
    with pytest.raises(CheckpointError, match="does not hold Resemblyzer's encoder"):
        Teacher(path)
    path.write_text("alice")
    with pytest.raises(CheckpointError, match=r"other\.pt"):
        Teacher(path)


def test_embeddings_are_unit_and_not_negative(weights: Path) -> None:
    teacher = Teacher(weights)
    wave = torch.from_numpy(np.random.default_rng(0).standard_normal(48_000).astype(np.float32))
    partials = teacher.partials(wave * 0.1)
    assert partials.shape == (2, 160, 40)
    embedding = teacher(partials)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(2))
    assert bool((embedding >= 0).all())


def test_short_speech_is_repeated_to_one_partial(weights: Path) -> None:
    wave = torch.randn(8_000, generator=torch.Generator().manual_seed(1)) * 0.1
    assert Teacher(weights).partials(wave).shape == (1, 160, 40)


def test_quiet_speech_is_raised_and_loud_speech_left(weights: Path) -> None:
    teacher = Teacher(weights)
    wave = torch.randn(32_000, generator=torch.Generator().manual_seed(1))
    quiet, quieter = teacher.partials(wave * 1e-3), teacher.partials(wave * 1e-4)
    torch.testing.assert_close(quiet, quieter, rtol=1e-3, atol=1e-6)
    loud, louder = teacher.partials(wave * 0.1), teacher.partials(wave * 0.2)
    torch.testing.assert_close(louder, 4 * loud, rtol=1e-3, atol=1e-5)
