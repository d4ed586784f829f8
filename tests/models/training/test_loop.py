"""Training on a tiny corpus: it learns, resumes exactly, and refuses what it cannot run."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from models.cli import app
from models.training.config import TrainingError
from models.training.learner import Learner
from models.training.loop import run
from models.training.sampler import Sampler, TrainingBatch


def weights(folder: Path) -> dict[str, torch.Tensor]:
    network: dict[str, torch.Tensor] = torch.load(folder / "last.pt", weights_only=True)["network"]
    return network


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def assert_same(one: Path, other: Path) -> None:
    for name, value in weights(one).items():
        torch.testing.assert_close(weights(other)[name], value, rtol=0, atol=0)


def test_a_run_is_reproducible_and_resumes_where_it_was(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    # The second run is killed in its sixth step, after the checkpoint of its fifth.
    config = write_config("schedule.checkpoint_minutes = 0.0")
    run(config, whole, threads=1)
    original, calls = Sampler.batch, count(1)

    def failing(self: Sampler, rng: np.random.Generator) -> TrainingBatch:
        if next(calls) > 5 + 4:  # four go into the mean of the features
            raise KeyboardInterrupt
        return original(self, rng)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sampler, "batch", failing)
        with pytest.raises(KeyboardInterrupt):
            run(config, halved, threads=1)
    assert torch.load(halved / "last.pt", weights_only=True)["step"] == 5
    run(config, halved, resume=True, threads=1)
    assert_same(whole, halved)
    told = json.loads(torch.load(whole / "last.pt", weights_only=True)["config"])
    assert str(tmp_path) not in json.dumps(told)  # bundles carry it on, and are given away
    assert told["data"]["cache"] == "cache"
    assert [entry["step"] for entry in log(whole)] == [4, 8]
    assert 0 <= log(whole)[-1]["eer_1s"] <= 100
    assert {"distillation", "relational", "eer_1s_degraded"} <= log(whole)[-1].keys()


def test_a_run_in_parts_is_the_run_in_one(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(write_config(), whole, threads=1)
    run(write_config("schedule.until = 3", name="first.toml"), parts, threads=1)
    assert torch.load(parts / "last.pt", weights_only=True)["step"] == 3
    run(write_config(), parts, resume=True, threads=1)
    assert_same(whole, parts)
    assert [entry["step"] for entry in log(parts)] == [3, 4, 8]
    elapsed = [entry["elapsed_s"] for entry in log(parts)]
    assert elapsed == sorted(elapsed)


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # on one core
def test_it_does_not_matter_which_process_makes_a_batch(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    alone, helped = tmp_path / "alone", tmp_path / "helped"
    config = write_config("schedule.steps = 3")
    run(config, alone, threads=1)
    run(config, helped, threads=1, workers=2)
    assert_same(alone, helped)


def test_the_command_trains_and_goes_on_where_it_is_asked_to(
    write_config: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config("schedule.steps = 1", name="mine.toml")
    monkeypatch.chdir(tmp_path)

    def train(*options: str) -> Result:
        return CliRunner().invoke(app, ["train", str(config), "--threads", "1", *options])

    done = train("--device", "cpu")
    assert done.exit_code == 0, done.output
    assert torch.load("runs/mine/last.pt", weights_only=True)["step"] == 1  # by the file's name
    assert "pass --resume" in str(train().exception)
    write_config("schedule.steps = 2", name="mine.toml")
    done = train("--resume")
    assert done.exit_code == 0, done.output
    assert [entry["step"] for entry in log(Path("runs/mine"))] == [1, 2]


def test_a_checkpoint_of_other_speakers_or_another_network_is_refused(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    run(write_config("schedule.steps = 1"), tmp_path / "out", threads=1)
    kept = (tmp_path / "out" / "heldout.txt").read_text()
    for change in ("data.heldout_share = 0.3", "network.channels = 32"):
        other = write_config("schedule.steps = 1", change, name="other.toml")
        with pytest.raises(TrainingError, match="use another --output"):
            run(other, tmp_path / "out", resume=True, threads=1)
    assert (tmp_path / "out" / "heldout.txt").read_text() == kept


def test_an_existing_run_is_not_overwritten_and_a_damaged_one_is_said(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    config = write_config("schedule.steps = 1")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "last.pt").write_bytes(b"alice")
    with pytest.raises(TrainingError, match="--resume"):
        run(config, tmp_path / "out", threads=1)
    with pytest.raises(TrainingError, match=r"last\.pt is damaged, .* use another --output"):
        run(config, tmp_path / "out", resume=True, threads=1)


def test_weights_of_another_run_are_a_start(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    run(write_config("schedule.steps = 2"), tmp_path / "first", threads=1)
    start = f'schedule.start_from = "{tmp_path}/first/last.pt"'
    seen = {}

    def stop(self: Learner, *_: object) -> None:
        seen.update({k: v.clone() for k, v in self.network.state_dict().items()})
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "train_step", stop)
        with pytest.raises(KeyboardInterrupt):
            run(write_config(start, name="second.toml"), tmp_path / "second", threads=1)
    average = torch.load(tmp_path / "first" / "last.pt", weights_only=True)["ema"]
    for name, value in average.items():
        torch.testing.assert_close(seen[name], value, rtol=0, atol=0)


def test_nobody_held_out_is_said(write_config: Callable[..., Path], tmp_path: Path) -> None:
    path = write_config("data.heldout_sources = []")
    with pytest.raises(TrainingError, match=r"0 speakers to measure progress on.*heldout_sources"):
        run(path, tmp_path / "out", threads=1)


def test_an_error_does_not_stand_on_the_line_of_the_bar(
    write_config: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def failing(*_: object) -> None:
        raise TrainingError("the loss is not finite")

    monkeypatch.setattr(Learner, "train_step", failing)
    with pytest.raises(TrainingError, match="not finite"):
        run(write_config(), tmp_path / "out", threads=1)
    shown = capsys.readouterr().err
    assert "0/8" in shown
    assert shown.endswith("\n")
