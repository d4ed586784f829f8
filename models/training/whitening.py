"""Whitening: the last layer is turned so that what one voice varies in counts for less.

Distillation shapes the embedding after its teacher, for whom every direction is as good as
another. Within-class covariance normalisation (Hatch et al., "Within-class covariance
normalization for SVM-based speaker recognition", Interspeech 2006) measures how the embeddings
of one speaker scatter, over pieces of speech and what befalls them, and scales each direction
by the inverse root of that, about the mean of all. It is linear, so it goes into the weights of
the network: nothing is added to what runs. The scatter is that of unit vectors, for scores are
cosines. It is fitted on speakers that were trained on; those who were held out say whether it
helps, and where it does not the weights stay as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from engine.errors import VoxwatchError
from engine.format import SAMPLE_RATE_HZ, unit
from models.metrics import measure
from models.network.checkpoint import load_trained
from models.network.embedding import embed
from models.network.streaming import StreamingNeXtTDNN
from models.sound.conditions import Degrade, TrainingConditions
from models.sound.corpus import Corpus

MOST_SPEAKERS = 400  # some 2,400 crops, which 192 dimensions are seen to scatter in
CROPS_S = (2.0, 3.0)  # in turn
MOST_CROPS = 6
LEAST_SPEECH_S = 3.0
# Of the mean variance, added to every direction. 0.2 to 1.0 did alike on held-out speakers.
RIDGE = 0.3
CROPS_AT_ONCE = 500  # some 80 MB of sound

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Ints = NDArray[np.intp]


class WhiteningError(VoxwatchError):
    """Data that cannot tell how the embeddings of one voice scatter."""


@dataclass(frozen=True, slots=True)
class Crop:
    """``length`` samples of the corpus from ``start``; ``turn`` says what befalls them, if any."""

    speaker: int
    start: int
    length: int
    turn: int | None


@dataclass(frozen=True, slots=True)
class Whitening:
    """What was fitted on ``speakers``, and the EER of held-out speakers' crops without and with it.

    Of NaN there were too few of them to tell; ``helps`` says whether the weights were changed.
    """

    speakers: int
    eer_before: float
    eer_after: float

    @property
    def helps(self) -> bool:
        """Whether whitened embeddings tell held-out speakers apart no worse."""
        return not self.eer_after > self.eer_before


def whiten(
    checkpoint: Path,
    cache: Path,
    heldout: Path,
    output: Path,
    *,
    seed: int = 0,
    progress: bool = True,
) -> Whitening:
    """Write ``checkpoint`` of `voxwatch train` with its last layer whitened to ``output``.

    The result is for `voxwatch models export`, and training cannot go on from it. ``cache`` is
    the prepared corpus of that training, ``heldout`` the list of speakers it left out. Raises
    :class:`WhiteningError` or ``CheckpointError``.
    """
    network, training = load_trained(checkpoint)
    if output.resolve() == checkpoint.resolve():
        raise WhiteningError(f"{output} is the checkpoint itself, from which training goes on")
    corpus, excluded, degrade = _data(cache, heldout)
    rng = np.random.default_rng(seed)
    crops = list(draw_crops(corpus, excluded, rng))
    speakers = np.array([crop.speaker for crop in crops], np.intp)
    count = len(np.unique(speakers))
    if len(crops) - count < network.arch.embedding_size:
        raise WhiteningError(
            f"{count} speakers with {LEAST_SPEECH_S:g} s of speech are too few to see"
            f" {network.arch.embedding_size} dimensions scatter: use more training data"
        )
    embeddings = embed_crops(network, corpus, crops, degrade, rng, progress=progress)
    matrix = whitening_matrix(within_covariance(unit(embeddings), speakers))
    mean = embeddings.mean(axis=0)
    others = set(corpus.by_speaker) - excluded
    held_out = list(draw_crops(corpus, others, rng))
    embeddings = embed_crops(network, corpus, held_out, degrade, rng, progress=progress)
    eers = _error_rates(corpus, held_out, (embeddings, (embeddings - mean) @ matrix))
    found = Whitening(count, *eers)
    if found.helps:
        fold(network, mean, matrix)
    _write(network, training, output)
    return found


def _data(cache: Path, heldout: Path) -> tuple[Corpus, set[str], TrainingConditions]:
    """The corpus of the training run, whom it held out, and what befalls speech there."""
    try:
        corpus, excluded = Corpus(cache), set(heldout.read_text().split())
        degrade = TrainingConditions(cache)
    except OSError as error:
        raise WhiteningError(
            f"cannot read {error.filename}: name the cache and the heldout.txt of the training run"
        ) from error
    except UnicodeDecodeError as error:
        raise WhiteningError(
            f"{heldout} is no text: name the heldout.txt of the training run"
        ) from error
    unknown = excluded - corpus.by_speaker.keys()
    if unknown or not excluded:
        raise WhiteningError(
            f"{heldout} names {len(unknown) or 'no'} speakers"
            + (f" that the corpus does not have, such as {min(unknown)!r}" if unknown else "")
            + ": use the list and the cache of one training run"
        )
    return corpus, excluded, degrade


def _error_rates(
    corpus: Corpus, crops: Sequence[Crop], versions: Iterable[Float64]
) -> Iterator[float]:
    """The EER of each of the ``versions`` ``(N, D)`` of the crops' embeddings."""
    halves = np.array([_half(corpus, crop) for crop in crops], np.intp)
    speakers = np.array([crop.speaker for crop in crops], np.intp)
    for embeddings in versions:
        yield half_against_half(unit(embeddings), speakers, halves)


def _write(network: StreamingNeXtTDNN, training: dict[str, Any], output: Path) -> None:
    partial = output.with_suffix(".part")
    try:
        torch.save({"ema": network.state_dict(), "arch": asdict(network.arch), **training}, partial)
        partial.replace(output)
    except (OSError, RuntimeError) as error:  # torch says RuntimeError for a folder that lacks
        partial.unlink(missing_ok=True)
        raise WhiteningError(f"cannot write {output}: check the folder") from error


def draw_crops(corpus: Corpus, excluded: set[str], rng: np.random.Generator) -> Iterator[Crop]:
    """Some crops of speakers with enough speech, each as it is and once degraded."""
    longest = round(max(CROPS_S) * SAMPLE_RATE_HZ)
    least = LEAST_SPEECH_S * SAMPLE_RATE_HZ
    numbers = {speaker: number for number, speaker in enumerate(corpus.by_speaker)}
    usable = [s for s in numbers if s not in excluded and corpus.span(s)[1] >= least]
    chosen = np.sort(rng.permutation(len(usable))[:MOST_SPEAKERS])
    for speaker in (usable[i] for i in chosen):
        number, (start, length) = numbers[speaker], corpus.span(speaker)
        count = min(MOST_CROPS, max(2, length // longest))
        for i in range(count):
            samples = round(CROPS_S[i % len(CROPS_S)] * SAMPLE_RATE_HZ)
            place = start + int(rng.integers(length - samples + 1))
            yield Crop(number, place, samples, None)
            yield Crop(number, place, samples, int(rng.integers(TrainingConditions.KINDS)))


def embed_crops(
    network: StreamingNeXtTDNN,
    corpus: Corpus,
    crops: Sequence[Crop],
    degrade: Degrade,
    rng: np.random.Generator,
    *,
    progress: bool = True,
) -> Float64:
    """Embeddings ``(N, D)`` of ``crops`` as the network gives them, not of unit length."""
    network, parts = network.eval(), []
    for i in tqdm(range(0, len(crops), CROPS_AT_ONCE), desc="crops", disable=not progress):
        sounds = [_sound(corpus, c, degrade, rng) for c in crops[i : i + CROPS_AT_ONCE]]
        parts.append(embed(network, sounds))
    return np.concatenate(parts).astype(np.float64)


def _sound(corpus: Corpus, crop: Crop, degrade: Degrade, rng: np.random.Generator) -> Float32:
    speech = corpus.read(crop.start, crop.length)
    return speech if crop.turn is None else degrade(speech, crop.turn, rng)


def _half(corpus: Corpus, crop: Crop) -> int:
    """Which half of its speaker's speech the middle of a crop lies in."""
    start, length = corpus.span(list(corpus.by_speaker)[crop.speaker])
    return int(crop.start + crop.length / 2 - start >= length / 2)


def half_against_half(embeddings: Float64, speakers: Ints, halves: Ints) -> float:
    """EER of the cosines of crops of the first half of somebody's speech with those of the second.

    NaN where no speaker has crops of both, or only one has any.
    """
    first, second = halves == 0, halves == 1
    same = speakers[first][:, None] == speakers[second]
    if same.all() or not same.any():
        return float("nan")
    cosines = embeddings[first] @ embeddings[second].T
    return measure(cosines.ravel(), same.ravel(), is_llr=False)["eer"]


def within_covariance(embeddings: Float64, speakers: Ints) -> Float64:
    """Covariance ``(D, D)`` of embeddings ``(N, D)`` about the mean of their speaker ``(N,)``."""
    _, own = np.unique(speakers, return_inverse=True)
    count = np.bincount(own)
    means = np.zeros((len(count), embeddings.shape[1]))
    np.add.at(means, own, embeddings)
    apart = embeddings - (means / count[:, None])[own]
    return np.asarray(apart.T @ apart / (len(embeddings) - len(count)), np.float64)


def whitening_matrix(within: Float64, ridge: float = RIDGE) -> Float64:
    """The symmetric inverse root ``(D, D)`` of a covariance with a ridge on it.

    It is scaled to keep the mean variance of what it is applied to about as it was.
    """
    size = len(within)
    level = np.trace(within) / size
    values, vectors = np.linalg.eigh(within + ridge * level * np.eye(size))
    return np.asarray((vectors / np.sqrt(values / level)) @ vectors.T, np.float64)


@torch.no_grad()
def fold(network: StreamingNeXtTDNN, mean: Float64, matrix: Float64) -> None:
    """Have ``network`` give ``(x - mean) @ matrix`` where it gave ``x``, by its last weights."""
    layer, norm = network.fc, network.bn3
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.weight * torch.rsqrt(norm.running_var + norm.eps)).double()
    shift = norm.bias.double() - norm.running_mean.double() * scale
    turn = torch.from_numpy(matrix).T
    weight = turn @ (scale[:, None] * layer.weight.double())
    bias = turn @ (scale * layer.bias.double() + shift - torch.from_numpy(mean))
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)
    norm.reset_parameters()  # mean 0, variance 1, weight 1, bias 0
    norm.running_var.fill_(1.0 - norm.eps)
