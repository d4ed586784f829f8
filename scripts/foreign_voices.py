"""How networks do on voices from elsewhere, which training has not heard and no report uses.

    python scripts/foreign_voices.py VOICES --cache runs/foreign --train-cache runs/cache \
        --noise ../shared/data/noise --teacher campplus_cn_en_common.pt CHECKPOINT...

Held-out speakers come from the corpora that are trained on, and what a network learns of these
corpora's microphones tells them apart, too; the lists of ``eval/`` are to measure with, never to
choose by. So a choice between networks wants a third kind of speech: VOICES holds a folder a voice,
of mono recordings at 16 kHz. Of every checkpoint are told the EER in per cent, as
:class:`models.training.progress.Development` measures it, and the mean cosine between what the
network and the teacher say of windows of 3 s, the teacher about its mean over training speech.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile as sf
import torch
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ, unit
from models.network.campplus import load_campplus
from models.network.checkpoint import load_trained
from models.network.embedding import embed
from models.network.streaming import StreamingNeXtTDNN
from models.sound.augment import Augment, AugmentConfig, load_noise
from models.sound.corpus import Corpus, prepare
from models.sound.files import CorpusError, read_training_sound, recordings
from models.training.data import TEACHER_MEAN
from models.training.progress import Development
from models.training.teacher import teacher_embed, windows_of

SOURCE = "foreign"
MOST_S = 120.0  # of a voice
LEAST_S = 0.5  # left of that, for one more recording

Float32 = NDArray[np.float32]


def prepared(voices: Path, cache: Path) -> Corpus:
    """The net speech of the voices, in the form that training has its own; made once."""
    if not (cache / "index.csv").exists():
        folder = cache / "train"
        (folder / SOURCE).mkdir(parents=True, exist_ok=True)
        with open(folder / "manifest.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["speaker", "source", "language", "content", "start_s", "end_s"])
            for voice in sorted(p for p in voices.iterdir() if p.is_dir()):
                writer.writerows(_joined(voice, folder / SOURCE / f"{voice.name}.opus"))
        prepare(cache, cache)
    return Corpus(cache)


def _joined(voice: Path, output: Path) -> Iterator[tuple[str, str, str, str, float, float]]:
    """Write the recordings of a voice into one file, and tell where each lies in it."""
    pieces, seconds = [], 0.0
    for path in recordings(voice):
        left = round((MOST_S - seconds) * SAMPLE_RATE_HZ)
        piece = read_training_sound(path, "remove it")[:left]
        pieces.append(piece)
        length_s = len(piece) / SAMPLE_RATE_HZ
        yield voice.name, SOURCE, "", "", seconds, seconds + length_s
        seconds += length_s
        if seconds >= MOST_S - LEAST_S:
            break
    if not pieces:
        raise CorpusError(f"{voice} holds no recordings: remove it")
    sf.write(output, np.concatenate(pieces), SAMPLE_RATE_HZ, format="OGG", subtype="OPUS")


def targets(corpus: Corpus, train_cache: Path, teacher: Path) -> dict[str, Float32]:
    """By voice, what the teacher says of its windows ``(n, D)``, about its mean over training."""
    embed = teacher_embed(load_campplus(teacher), torch.device("cpu"))
    mean = np.load(train_cache / TEACHER_MEAN)
    return {name: unit(embed(windows_of(corpus.speech(name))) - mean) for name in corpus.by_speaker}


def agreement(network: StreamingNeXtTDNN, corpus: Corpus, taught: dict[str, Float32]) -> float:
    """Mean cosine of the network with ``taught``, each voice counting alike."""
    found = []
    for name, wanted in taught.items():
        own = unit(embed(network, list(windows_of(corpus.speech(name)))))
        found.append(float((own * wanted).sum(axis=1).mean()))
    return float(np.mean(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("voices", type=Path)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    for name in ("cache", "train-cache", "noise", "teacher"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    corpus = prepared(given.voices, given.cache)
    taught = targets(corpus, given.train_cache, given.teacher)
    rooms = np.load(given.train_cache / "rooms.npy").astype(np.float32)
    augment = Augment(AugmentConfig(), load_noise(given.noise), rooms, seed=0)
    development = Development(corpus, list(corpus.by_speaker), augment)
    print(f"{len(corpus.by_speaker)} voices")
    for path in given.checkpoints:
        network = load_trained(path)[0]
        rates = development.error_rates(network)
        shown = "  ".join(f"{name} {rate:.2f}" for name, rate in rates.items())
        print(f"{path}: {shown}  cosine {agreement(network, corpus, taught):.3f}", flush=True)


if __name__ == "__main__":
    main()
