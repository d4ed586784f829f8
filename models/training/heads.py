"""Heads on a trained network: overlapped speech, signal-to-noise ratio and clarity of blocks.

The network stays as it is, so what it says of the mixtures is computed once and kept, and the
heads, small as they are, are fitted on that in a minute. They are measured on speakers, noise
and rooms that neither the network nor the heads were trained with.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor
from tqdm import tqdm

from engine.errors import VoxwatchError
from models.network.block_heads import BlockHeads, head_features, running_sums
from models.network.checkpoint import load_trained
from models.network.frontend import CausalLogMel
from models.network.streaming import StreamingNeXtTDNN
from models.sound.conditions import held_out_pieces
from models.sound.corpus import Corpus
from models.sound.degradations import ROOMS, power, room_response
from models.training.data import measured_rooms
from models.training.mixtures import Mixtures

MIXTURES = 3000  # five hours
MEASURED_MIXTURES = 400
MIXTURES_AT_ONCE = 16
EPOCHS = 8
BATCH_BLOCKS = 1024
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2
DROPOUT = 0.2  # of the features
# The heads in dB learn about this middle and in units of this spread.
MIDDLE_DB, SPREAD_DB = 12.0, 8.0
STD_FLOOR = 1e-3

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


class HeadsError(VoxwatchError):
    """Data that heads cannot be trained or measured on."""


@dataclass(frozen=True, slots=True)
class Described:
    """Mixtures as the network sees them: ``features (M, LENGTH_BLOCKS, F)``, half precision, and
    ``truth (M, LENGTH_BLOCKS, 3)`` as :class:`models.training.mixtures.Mixture` has it."""

    features: Tensor
    truth: Tensor


@dataclass(frozen=True, slots=True)
class HeadFigures:
    """On held-out speakers, noise and rooms.

    ``overlap_found`` is the share of the blocks with two voices whose logit is above zero, and
    ``overlap_false`` that of the others. Errors are mean absolute ones in dB, of blocks of 0.1 s
    and of the means over mixtures of 6 s; ``spread`` is that of the best constant.
    """

    mixtures: int
    overlap_auc: float
    overlap_found: float
    overlap_false: float
    snr_mae_db: float
    snr_mae_6s_db: float
    snr_spread_db: float
    c50_mae_db: float
    c50_mae_6s_db: float
    c50_spread_db: float


def train_heads(
    checkpoint: Path,
    cache: Path,
    heldout: Path,
    noise: Path,
    output: Path,
    *,
    rooms: Path | None = None,
    seed: int = 0,
    progress: bool = True,
) -> HeadFigures:
    """Write ``checkpoint`` with heads to ``output``; heads that it has are replaced.

    ``cache`` is the prepared corpus of the training, ``heldout`` the list of speakers it left
    out. ``noise`` is the folder of noise, of which the pieces that training does not use are
    measured with, and ``rooms`` that of measured responses, likewise, beside the simulated rooms
    of evaluation. Raises :class:`HeadsError`, ``CheckpointError``, ``ConditionError`` or
    ``CorpusError``.
    """
    network, training = load_trained(checkpoint)
    if output.resolve() == checkpoint.resolve():
        raise HeadsError(f"{output} is the checkpoint itself: name another file")
    mixtures, excluded = _heard(cache, heldout)
    unheard = Mixtures(
        Corpus(cache), sorted(excluded), held_out_noise(noise), held_out_rooms(rooms)
    )
    rng = np.random.default_rng(seed)
    described = describe(network, mixtures, MIXTURES, rng, progress=progress)
    network.heads = fit_heads(described, network.arch.pooled_channels, seed)
    figures = measure_heads(
        network.heads, describe(network, unheard, MEASURED_MIXTURES, rng, progress=progress)
    )
    content = {"ema": network.state_dict(), "arch": asdict(network.arch), **training}
    content["heads"] = asdict(figures)
    partial = output.with_suffix(".part")
    try:
        torch.save(content, partial)
        partial.replace(output)
    except (OSError, RuntimeError) as error:  # torch says RuntimeError for a folder that lacks
        partial.unlink(missing_ok=True)
        raise HeadsError(f"cannot write {output}: check the folder") from error
    return figures


def _heard(cache: Path, heldout: Path) -> tuple[Mixtures, set[str]]:
    """Mixtures of what was trained with, and the speakers that were not."""
    try:
        corpus, excluded = Corpus(cache), set(heldout.read_text().split())
        noise, rooms = np.load(cache / "noise.npy"), np.load(cache / "rooms.npy")
    except (OSError, UnicodeDecodeError) as error:
        raise HeadsError(
            f"cannot read {cache} or {heldout}: name the cache and the heldout.txt of the training"
            " run"
        ) from error
    unknown = excluded - corpus.by_speaker.keys()
    if unknown or len(excluded) < 2:
        raise HeadsError(
            f"{heldout} names {len(excluded)} speakers, {len(unknown)} of whom the corpus does not"
            " have: use the list and the cache of one training run"
        )
    heard = [s for s in corpus.by_speaker if s not in excluded]
    return Mixtures(corpus, heard, noise, rooms.astype(np.float32)), excluded


def held_out_noise(folder: Path) -> Float32:
    """The pieces that training does not use end to end, each at unit power."""
    return np.concatenate([p / np.float32(math.sqrt(power(p))) for p in held_out_pieces(folder)])


def held_out_rooms(measured: Path | None) -> list[Float32]:
    """The simulated rooms of evaluation and the measured ones that training does not hear."""
    simulated = [room_response(number) for number in range(ROOMS)]
    return simulated + ([] if measured is None else list(measured_rooms(measured, heard=False)))


@torch.inference_mode()
def describe(
    network: StreamingNeXtTDNN,
    mixtures: Mixtures,
    count: int,
    rng: np.random.Generator,
    *,
    progress: bool = True,
) -> Described:
    """Draw ``count`` mixtures and run the network over each, from a stream's beginning to its
    end."""
    arch, layer = network.eval().arch, CausalLogMel()
    features, truth = [], []
    for first in tqdm(range(0, count, MIXTURES_AT_ONCE), desc="mixtures", disable=not progress):
        drawn = [mixtures.draw(rng) for _ in range(min(MIXTURES_AT_ONCE, count - first))]
        mel = layer(torch.from_numpy(np.stack([m.sound for m in drawn])))
        mask = torch.ones(len(drawn), mel.shape[1] + arch.delay_feature_frames, 1)
        mask[:, mel.shape[1] :] = 0
        sums = network.block_sums(F.pad(mel, (0, 0, 0, arch.delay_feature_frames)), mask)
        sums = sums[:, arch.delay_blocks :]
        features.append(head_features(sums, running_sums(sums)).half())
        truth.append(torch.from_numpy(np.stack([m.truth for m in drawn])))
    return Described(torch.cat(features), torch.cat(truth))


def fit_heads(described: Described, pooled_channels: int, seed: int) -> BlockHeads:
    """Heads that are trained on all blocks of the mixtures whose truth is known."""
    features, truth = described.features.flatten(0, 1), described.truth.flatten(0, 1)
    target = torch.cat([truth[:, :1], (truth[:, 1:] - MIDDLE_DB) / SPREAD_DB], dim=1)
    mean = features.mean(dim=0, dtype=torch.float32)
    std = _deviation(features, mean)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        heads = BlockHeads(pooled_channels)
        optimiser = torch.optim.AdamW(
            heads.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        steps = EPOCHS * -(-len(features) // BATCH_BLOCKS)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, steps)
        for _ in range(EPOCHS):
            order = torch.randperm(len(features), generator=generator)
            for chosen in torch.split(order, BATCH_BLOCKS):
                x = F.dropout((features[chosen].float() - mean) / std, DROPOUT)
                loss = _loss(heads.of_features(x), target[chosen])
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
                schedule.step()
    _fold(heads, mean, std)
    return heads.eval().requires_grad_(False)


def _deviation(features: Tensor, mean: Tensor) -> Tensor:
    """Of each column, without a float32 copy of them all."""
    total = torch.zeros_like(mean)
    for rows in torch.split(features, BATCH_BLOCKS):
        total += (rows.float() - mean).square().sum(dim=0)
    return (total / len(features)).sqrt().clamp_min(STD_FLOOR)


def _loss(found: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of the overlap, absolute error of the rest, over what is known."""
    total = F.binary_cross_entropy_with_logits(found[:, 0], target[:, 0])
    for column in (1, 2):
        known = ~target[:, column].isnan()
        if known.any():
            total = total + F.smooth_l1_loss(found[known, column], target[known, column], beta=0.25)
    return total


@torch.no_grad()
def _fold(heads: BlockHeads, mean: Tensor, std: Tensor) -> None:
    """Have ``heads`` take features as they are and give decibels."""
    hidden, out = heads.hidden, heads.out
    hidden.weight.div_(std)
    hidden.bias.sub_(hidden.weight @ mean)
    out.weight[1:] *= SPREAD_DB
    out.bias[1:] = out.bias[1:] * SPREAD_DB + MIDDLE_DB


@torch.inference_mode()
def measure_heads(heads: BlockHeads, described: Described) -> HeadFigures:
    """How near ``heads`` come to the truth of mixtures."""
    found = heads.of_features(described.features.float()).numpy().astype(np.float64)
    truth = described.truth.numpy().astype(np.float64)
    both, logit = truth[..., 0] > 0, found[..., 0]
    snr, snr_6s, snr_spread = _errors(found[..., 1], truth[..., 1])
    c50, c50_6s, c50_spread = _errors(found[..., 2], truth[..., 2])
    return HeadFigures(
        mixtures=len(truth),
        overlap_auc=auc(logit.ravel(), both.ravel()),
        overlap_found=float((logit[both] > 0).mean()),
        overlap_false=float((logit[~both] > 0).mean()),
        snr_mae_db=snr,
        snr_mae_6s_db=snr_6s,
        snr_spread_db=snr_spread,
        c50_mae_db=c50,
        c50_mae_6s_db=c50_6s,
        c50_spread_db=c50_spread,
    )


def _errors(found: Float64, truth: Float64) -> tuple[float, float, float]:
    """Mean absolute errors of blocks and of means, and of the truth's median, ``(M, blocks)``."""
    known = ~np.isnan(truth).any(axis=1)
    found, truth = found[known], truth[known]
    of_means = np.abs(found.mean(axis=1) - truth.mean(axis=1)).mean()
    spread = np.abs(truth - np.median(truth)).mean()
    return float(np.abs(found - truth).mean()), float(of_means), float(spread)


def auc(scores: Float64, target: NDArray[np.bool_]) -> float:
    """How often a target scores above another, ties by half (area under the ROC curve)."""
    positives, negatives = int(target.sum()), int((~target).sum())
    if not positives or not negatives:
        raise HeadsError("overlap is in all blocks or in none: there is nothing to tell apart")
    above = rankdata(scores)[target].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))
