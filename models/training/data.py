"""Everything a run reads, made once: speech, coded copies, rooms, noise, the teacher's mean."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from models.network.campplus import load_campplus
from models.sound.augment import RIR_SAMPLES, load_noise, noise_files, simulate_rooms
from models.sound.corpus import Corpus, is_coded, prepare, prepare_coded
from models.sound.files import CorpusError, read_training_sound
from models.training.config import Config, Data, TrainingError
from models.training.teacher import mean_embedding, teacher_embed, write_mean

TEACHER_MEAN = "teacher_mean.npy"
BEFORE_DIRECT_SAMPLES = 8  # kept of a measured response before its largest sample
KEPT_FOR_EVALUATION = 4  # every fourth measured response is never trained with
MEASURED_SHARE = 0.18  # of all rooms, about: few and much alike beside the simulated ones

Float32 = NDArray[np.float32]


def prepare_data(config: Config, device: torch.device) -> None:
    """Prepare what is not there yet; each part is written whole or not at all.

    The teacher runs on ``device``.

    Raises :class:`TrainingError` for a cache that was made from something else,
    :class:`models.network.checkpoint.CheckpointError` for weights that are not the teacher's, and
    :class:`models.sound.augment.CorpusError` for speech or noise that is missing or cannot be
    read.
    """
    data, cache = config.data, config.data.cache
    indexed, manifest = (cache / "index.csv").exists(), data.root / "train" / "manifest.csv"
    if not indexed and not manifest.exists():
        raise TrainingError(f"no training data: {manifest} is missing")
    if not data.teacher.is_file():
        raise TrainingError(
            f"the teacher's weights are not at {data.teacher}: README says where they come from"
        )
    teacher = load_campplus(data.teacher)
    # Noise before the long work on speech: what is wrong with it is said at once.
    noise = None if (cache / "noise.npy").exists() else load_noise(data.noise)
    _check_sources(config)
    if noise is not None:
        _store(cache / "noise.npy", noise)
    if not indexed:
        prepare(data.root, cache)
    if data.coded_share > 0 and not is_coded(cache, data.coded_share):
        prepare_coded(cache, data.coded_share)
    if not (cache / "rooms.npy").exists():
        _store(cache / "rooms.npy", _rooms(config))
    if not (cache / TEACHER_MEAN).exists():
        mean = mean_embedding(Corpus(cache), teacher_embed(teacher, device))
        write_mean(cache / TEACHER_MEAN, mean)


def _rooms(config: Config) -> Float32:
    """Impulse responses ``(N, RIR_SAMPLES)``: simulated ones, and measured ones repeated."""
    simulated = simulate_rooms(config.augment.rooms, config.seed)
    if config.data.rooms is None:
        return simulated
    measured = measured_rooms(config.data.rooms)
    repeats = max(1, round(MEASURED_SHARE * len(simulated) / len(measured)))
    return np.concatenate([simulated, np.tile(measured, (repeats, 1))])


def measured_rooms(folder: Path, *, heard: bool = True) -> Float32:
    """Measured responses that training hears, or the others; unit energy, direct sound first."""
    try:
        with open(folder / "manifest.csv", newline="") as file:
            paths = sorted(row["path"] for row in csv.DictReader(file))
    except OSError as error:
        raise CorpusError(f"cannot read {folder / 'manifest.csv'}: {error.strerror}") from error
    rows = []
    for path in (p for i, p in enumerate(paths) if (i % KEPT_FOR_EVALUATION > 0) == heard):
        response = read_training_sound(folder / path, "remove it from the manifest")
        start = max(int(np.abs(response).argmax()) - BEFORE_DIRECT_SAMPLES, 0)
        response = response[start : start + RIR_SAMPLES]
        row = np.zeros(RIR_SAMPLES, np.float32)
        row[: len(response)] = response / np.sqrt(np.sum(response**2))
        rows.append(row)
    if not rows:
        raise CorpusError(f"{folder / 'manifest.csv'} lists no responses to train with")
    return np.stack(rows)


def _store(path: Path, values: Float32) -> None:
    """In half precision, whole or not at all."""
    partial = path.with_suffix(".part.npy")
    np.save(partial, values.astype(np.float16))
    partial.replace(path)


def _check_sources(config: Config) -> None:
    """Compare with what the cache was made from, or note it down; absent sources pass."""
    data, note = config.data, config.data.cache / "made_from.json"
    manifest = data.root / "train" / "manifest.csv"
    own: dict[str, str | int] = {"rooms": config.augment.rooms, "seed": config.seed}
    pieces = [f"{p.relative_to(data.noise)} {p.stat().st_size}" for p in noise_files(data.noise)]
    if pieces:
        own["noise"] = hashlib.sha256("\n".join(pieces).encode()).hexdigest()
    if manifest.is_file():
        own["manifest"] = hashlib.sha256(manifest.read_bytes()).hexdigest()
    known: dict[str, str | int] = json.loads(note.read_text()) if note.exists() else {}
    for name, value in own.items():
        if known.get(name, value) != value:
            raise TrainingError(
                f"{data.cache} was made with another {name} ({str(known[name])[:12]}, now"
                f" {str(value)[:12]}): name another data.cache"
            )
    data.cache.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(known | own, indent=1) + "\n")


def held_out(corpus: Corpus, data: Data) -> list[str]:
    """Speakers kept from training, for development and calibration; by the hash of the name."""
    eligible = []
    for speaker, utterances in corpus.by_speaker.items():
        long_enough = corpus.span(speaker)[1] >= data.heldout_min_s * SAMPLE_RATE_HZ
        if utterances[0].source in data.heldout_sources and len(utterances) >= 2 and long_enough:
            eligible.append(speaker)
    eligible.sort(key=lambda s: hashlib.sha256(f"heldout {s}".encode()).digest())
    return sorted(eligible[: round(data.heldout_share * len(eligible))])
