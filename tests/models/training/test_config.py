"""Configurations: what comes with the project is valid, what is wrong is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from models.training.config import TrainingError, load_config

CONFIGS = sorted((Path(__file__).parents[3] / "models" / "configs").glob("*.toml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_that_comes_with_it_is_valid(path: Path) -> None:
    assert 0 < load_config(path).architecture().delay_blocks <= 5


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("schedule.steps = 0", "schedule.steps must be >= 1, not 0"),
        ("schedule.learning_rate = 0.0", "schedule.learning_rate must be > 0.0, not 0.0"),
        ("schedule.learning_rate = inf", "learning_rate must be <= 1000000000.0, not"),
        ("schedule.weight_decay = -0.1", "schedule.weight_decay must be >= 0.0, not -0.1"),
        ("schedule.ema = 1.0", "schedule.ema must be < 1.0, not 1.0"),
        ("schedule.checkpoint_minutes = nan", "checkpoint_minutes must be >= 0.0, not nan"),
        ("data.heldout_share = 1.0", "data.heldout_share must be < 1.0, not 1.0"),
        ("data.coded_share = 1.5", "data.coded_share must be <= 1.0, not 1.5"),
        ("voices.speeds = [1.0, 2.5]", "voices.speeds[1] must be <= 2.0, not 2.5"),
        ("voices.formants = [0.1, 1.0]", "voices.formants[0] must be >= 0.5, not 0.1"),
        ("batch.sequences = 0", "batch.sequences must be >= 1, not 0"),
        ("batch.span_s = [0.2, 1.0]", "batch.span_s[0] must be >= 0.5, not 0.2"),
        ("batch.local_target = 1.2", "batch.local_target must be <= 1.0, not 1.2"),
        ("augment.noise_snr_db = [0.0, inf]", "noise_snr_db[1] must be <= 100.0, not inf"),
        ("loss.relational = -1.0", "loss.relational must be >= 0.0, not -1.0"),
        ("network.channels = 0", "network.channels must be >= 8, not 0"),
    ],
)
def test_a_number_out_of_bounds_is_named_with_its_bound(
    write_config: Callable[..., Path], setting: str, message: str
) -> None:
    path = write_config(setting)
    with pytest.raises(TrainingError, match=re.escape(f"{path}: ") + ".*" + re.escape(message)):
        load_config(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["steps = 4"], "unknown field `steps`"),
        (['seed = "three"'], r"Expected `int`, got `str` - at `\$.seed`"),
        (["seed ="], "c.toml"),
        (["batch.piece_s = [2.0, 1.0]"], "batch.piece_s must rise"),
        (["batch.span_s = [0.6, 9.0]"], "batch.span_s must rise and fit"),
        (["batch.length_s = 3.05"], r"batch.length_s must be a multiple of 0\.1"),
        (["network.kernel_sizes = [8]"], "network: kernel sizes must be odd"),
        (["network.ahead_frames = 20"], "network: a look-ahead of 20 frames"),
        (["network.backward = 2"], "network: backward must be from 0 to 1"),
        (["network.delay_frames = 45"], "must be a multiple of 10"),
        (["voices.speeds = [1.1, 0.9]"], r"voices\.speeds must rise: it is \[1\.1, 0\.9\]"),
        (["voices.formants = [1.1, 0.9]"], r"voices\.formants must rise"),
        (["loss.distillation = 0.0", "loss.relational = 0.0"], "every loss has weight 0"),
    ],
)
def test_a_wrong_configuration_is_named(
    write_config: Callable[..., Path], settings: list[str], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        load_config(write_config(*settings))


def test_files_that_are_no_configuration_are_said(tmp_path: Path) -> None:
    path = tmp_path / "weights.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TrainingError, match="is no text"):
        load_config(path)
    with pytest.raises(TrainingError, match="cannot read"):
        load_config(tmp_path / "nowhere.toml")
