"""Preparation: what a cache was made from, and what is missing."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from models.network.campplus import load_campplus
from models.network.checkpoint import CheckpointError
from models.sound.augment import RIR_SAMPLES
from models.sound.files import CorpusError
from models.training.config import TrainingError, load_config
from models.training.data import measured_rooms, prepare_data

RATE = 16_000
CPU = torch.device("cpu")


def test_a_cache_serves_only_what_it_was_made_from(
    data: Path, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    rooms = (data / "cache" / "rooms.npy").stat().st_mtime_ns
    prepare_data(load_config(write_config()), CPU)
    assert (data / "cache" / "rooms.npy").stat().st_mtime_ns == rooms
    noise = tmp_path / "noise"
    shutil.copytree(data / "noise", noise)
    (noise / "n0.opus").unlink()
    with pytest.raises(TrainingError, match="made with another noise"):
        prepare_data(load_config(write_config(f'data.noise = "{noise}"')), CPU)
    with pytest.raises(TrainingError, match=r"made with another rooms \(2, now 3\): name another"):
        prepare_data(load_config(write_config("augment.rooms = 3")), CPU)


def test_missing_data_is_named(write_config: Callable[..., Path], tmp_path: Path) -> None:
    nowhere = [f'data.root = "{tmp_path}/nowhere"', f'data.cache = "{tmp_path}/cache"']
    with pytest.raises(TrainingError, match=r"manifest\.csv is missing"):
        prepare_data(load_config(write_config(*nowhere)), CPU)


def test_noise_is_missed_before_speech_is_prepared(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_config(f'data.cache = "{tmp_path}/cache"', f'data.noise = "{tmp_path}/nowhere"')
    with pytest.raises(CorpusError, match=r"no noise to train with in .*nowhere"):
        prepare_data(load_config(path), CPU)
    assert not (tmp_path / "cache").exists()


def test_a_teacher_is_missed_before_anything_is_prepared(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    cache = f'data.cache = "{tmp_path}/cache"'
    with pytest.raises(TrainingError, match=r"the teacher's weights are not at .*none\.pt: README"):
        prepare_data(load_config(write_config(cache, f'data.teacher = "{tmp_path}/none.pt"')), CPU)
    assert not (tmp_path / "cache").exists()


def test_weights_of_somebody_else_are_refused_before_anything_is_prepared(
    write_config: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.training.data.load_campplus", load_campplus)  # no stand-in
    other = tmp_path / "other.pt"
    torch.save({"alice": torch.zeros(1)}, other)
    cache = f'data.cache = "{tmp_path}/cache"'
    with pytest.raises(CheckpointError, match=r"other\.pt is not the published CAM\+\+"):
        prepare_data(load_config(write_config(cache, f'data.teacher = "{other}"')), CPU)
    assert not (tmp_path / "cache").exists()


def test_measured_rooms_leave_some_for_evaluation(tmp_path: Path) -> None:
    with open(tmp_path / "manifest.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "kind", "seconds"])
        for i in range(5):
            response = np.zeros(3000 if i else 20_000, np.float32)
            response[100 + i : 2000] = np.exp(-np.arange(1900 - i) / 300)
            sf.write(tmp_path / f"r{i}.flac", response, RATE)
            writer.writerow([f"r{i}.flac", "room", 0.2])
    rooms = measured_rooms(tmp_path)
    assert rooms.shape == (3, RIR_SAMPLES)  # the first and the fifth are kept
    np.testing.assert_allclose(np.square(rooms).sum(axis=1), 1, rtol=1e-3)
    assert set(np.abs(rooms).argmax(axis=1)) == {8}
    assert len(measured_rooms(tmp_path, heard=False)) == 2
    (tmp_path / "r1.flac").write_bytes(b"alice")
    with pytest.raises(CorpusError, match=r"r1\.flac"):
        measured_rooms(tmp_path)
    with pytest.raises(CorpusError, match=r"manifest\.csv"):
        measured_rooms(tmp_path / "nowhere")
