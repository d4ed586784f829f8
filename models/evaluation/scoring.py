"""From embeddings to figures: every list at every duration and condition."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from engine.scoring.scorer import CalibratedScores
from models import metrics
from models.evaluation.embeddings import (
    Cuts,
    Embeddings,
    Float64,
    Ints,
    Key,
    SystemUnderTest,
    resolve,
)
from models.evaluation.trials import TrialList, speakers_of
from models.sound.conditions import Condition
from models.sound.files import without_folders

RESAMPLES = 1000  # of the bootstrap over speakers
MEAN_TARGETS = 30  # a list with fewer targets left at a duration says too little for the mean

Figures = dict[str, float]
Resampled = dict[str, Float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """One kind of score of P trials, its metrics and their bootstrap values by name.

    ``figures`` and ``resampled`` are empty where the trials are not of both kinds.
    """

    scores: Float64
    is_llr: bool
    figures: Figures
    resampled: Resampled


@dataclass(frozen=True, slots=True)
class Cell:
    """One list, duration and condition, scored.

    ``target`` ``(P,)`` says of the trials that are left which are targets; ``speakers``
    counts those who are in them. ``short`` trials lack net speech for the duration,
    ``unusable`` ones have a side that could not be embedded. ``cosine`` is the raw cosine,
    ``calibrated`` the LLR, or the normalised score of a system without calibration. Only
    cells of ``reliable`` lists count in means. ``sides`` ``(P, 2)`` numbers who speaks on either.
    """

    list: str
    duration_s: float
    condition: Condition
    short: int
    unusable: int
    target: NDArray[np.bool_]
    speakers: int
    cosine: Scored
    calibrated: Scored
    reliable: bool = True
    sides: Ints = field(default_factory=lambda: np.empty((0, 2), np.intp))


def score_lists(
    lists: Sequence[TrialList],
    system: SystemUnderTest,
    embeddings: Embeddings,
    cuts: Cuts,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Cell]:
    """Score every list at every duration and condition from a system's embeddings."""
    cells = []
    for trials in lists:
        speakers = speakers_of(trials)
        target = np.array([trial.target for trial in trials.trials], bool)
        # By name: lists are drawn independently, systems and cuts in pairs.
        drawn = zlib.crc32(f"{seed} {trials.name}".encode())
        for duration_s, condition in cuts.cells:
            rows, short = _rows(trials, embeddings, cuts, duration_s, condition)
            left = (rows >= 0).all(axis=1)
            sides = speakers[left]
            scored = _scored(system, embeddings, rows[left], target[left], sides, resamples, drawn)
            cells.append(
                Cell(
                    list=trials.name,
                    duration_s=duration_s,
                    condition=condition,
                    short=int(short.sum()),
                    unusable=int((~left & ~short).sum()),
                    target=target[left],
                    speakers=len(np.unique(sides)),
                    cosine=scored[0],
                    calibrated=scored[1],
                    reliable=trials.reliable,
                    sides=sides,
                )
            )
    return cells


def left_out(
    lists: Sequence[TrialList], embeddings: Embeddings, cuts: Cuts, min_speech_s: float
) -> list[str]:
    """What could not be used, each recording once with the reason: refused or too short.

    ``min_speech_s``: the shortest segment that the system takes. A recording with less than
    every duration is left out as a test side; to enrol it is used.
    """
    reasons: dict[Path, str] = {}
    for trials in lists:
        tested = {trial.test for trial in trials.trials}
        for name in trials.files:
            path = resolve(trials, name)
            reason = embeddings.refused.get(path)
            if reason is None:
                speech = embeddings.speech[path]
                reason = _too_short(path, speech, cuts, min_speech_s, tests=name in tested)
            if reason is not None:
                reasons[path] = reason
    return list(reasons.values())


def _too_short(
    path: Path, speech: int, cuts: Cuts, min_speech_s: float, *, tests: bool
) -> str | None:
    has = f"{without_folders(path)}: has {speech / SAMPLE_RATE_HZ:.2f} s of net speech"
    if speech < max(1, round(min_speech_s * SAMPLE_RATE_HZ)):
        return f"{has}, and the model needs {min_speech_s:g} s"
    if tests and all(cuts.samples(duration_s, speech) is None for duration_s in cuts.durations):
        return f"{has}, as a test less than the shortest duration, {min(cuts.durations):g} s"
    return None


def _rows(
    trials: TrialList, embeddings: Embeddings, cuts: Cuts, duration_s: float, condition: Condition
) -> tuple[Ints, NDArray[np.bool_]]:
    """Rows of both sides ``(N, 2)``, -1 for what is missing; and which trials are too short."""
    enrol: dict[str, int] = {}
    test: dict[str, int] = {}
    short: dict[str, bool] = {}
    for name in trials.files:
        path = resolve(trials, name)
        speech = embeddings.speech.get(path)
        samples = None if speech is None else cuts.samples(duration_s, speech)
        short[name] = speech is not None and samples is None
        enrol[name] = _row(embeddings, (path, speech or 0, "clean"))
        test[name] = _row(embeddings, (path, samples or 0, condition))
    rows = [(enrol[trial.enrol], test[trial.test]) for trial in trials.trials]
    return (
        np.array(rows, np.intp).reshape(-1, 2),
        np.array([short[trial.test] for trial in trials.trials], bool),
    )


def _row(embeddings: Embeddings, key: Key) -> int:
    row = embeddings.row(key)
    return -1 if row is None else row


def _scored(
    system: SystemUnderTest,
    embeddings: Embeddings,
    rows: Ints,
    target: NDArray[np.bool_],
    speakers: Ints,
    resamples: int,
    seed: int,
) -> tuple[Scored, Scored]:
    if not len(rows):
        nothing = Scored(np.empty(0), False, {}, {})
        return nothing, nothing
    # Each side's embeddings once, and pairs of their numbers: an embedding meets the cohort
    # once, however many trials it is in.
    enrol, left = np.unique(rows[:, 0], return_inverse=True)
    test, right = np.unique(rows[:, 1], return_inverse=True)
    seconds = embeddings.samples() / SAMPLE_RATE_HZ
    vectors = embeddings.vectors()
    scores = system.score(
        vectors[enrol], seconds[enrol], vectors[test], seconds[test], np.stack([left, right], 1)
    )
    kinds = [(scores.cosine, False)]
    if isinstance(scores, CalibratedScores):
        kinds.append((scores.llr, True))
    else:
        kinds.append((scores.norm, False))
    cosine, calibrated = (
        _measured(values, target, speakers, is_llr, resamples, seed) for values, is_llr in kinds
    )
    return cosine, calibrated


def _measured(
    scores: Float64,
    target: NDArray[np.bool_],
    speakers: Ints,
    is_llr: bool,
    resamples: int,
    seed: int,
) -> Scored:
    if target.all() or not target.any():
        return Scored(scores, is_llr, {}, {})
    figures = metrics.measure(scores, target, is_llr=is_llr)
    resampled = metrics.bootstrap(
        scores, target, speakers, is_llr=is_llr, resamples=resamples, seed=seed
    )
    return Scored(scores, is_llr, figures, resampled)


def in_mean(cell: Cell) -> bool:
    """Whether a cell counts in an average over lists: reliable, and with targets enough."""
    enough = int(cell.target.sum()) >= MEAN_TARGETS
    return cell.reliable and enough and bool(cell.cosine.figures)


def mean(scored: Iterable[Scored]) -> tuple[Figures, Resampled]:
    """Average of each metric over lists, and of its bootstrap values.

    Lists are resampled independently of each other, so the averages of their values are
    the bootstrap values of the average. Only metrics that every one of them has.
    """
    every = list(scored)
    names = [n for n in every[0].figures if all(n in s.figures for s in every)] if every else []
    figures = {name: float(np.mean([s.figures[name] for s in every])) for name in names}
    kept = [name for name in names if all(name in s.resampled for s in every)]
    resampled = {name: np.mean([s.resampled[name] for s in every], axis=0) for name in kept}
    return figures, resampled


def pooled_min_cllr(every: Sequence[Scored], targets: Sequence[NDArray[np.bool_]]) -> float:
    """minCllr of several lists taken together, each weighing alike.

    The mean of the lists' own is what a calibration made for each of them could reach; this is
    what one for all could, which knows no more of a trial than its score.
    """
    weights = np.concatenate([np.where(t, 1 / t.sum(), 1 / (~t).sum()) for t in targets])
    scores, target = np.concatenate([s.scores for s in every]), np.concatenate(targets)
    return metrics.measure(scores, target, is_llr=False, weights=weights)["min_cllr"]
