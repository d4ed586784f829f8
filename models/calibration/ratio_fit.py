"""Fits a calibration: prior-weighted logistic regression on scores with their net speech.

The objective is Cllr itself (Brummer and du Preez, 2006): the cross-entropy of the
posterior at a prior of one half, targets and non-targets weighing the same. The one number
that the ratio is not simple in, ``half_speech_s``, is searched on a line.

Crowd-sourced labels are not all true: several people share an account, and a pair that is
labelled as one speaker is then two. A fit that believes such pairs makes every ratio timid.
So each source has a rate ``e`` of mislabelled target pairs, found by the same fit: where the
true ratio is L, labels that are wrong so often show the ratio (1 - e) L + e (the model of
label noise of Bootkrajang and Kaban, "Label-noise robust logistic regression", 2012).

Then it is found what speech is worth (``engine.scoring.worth``) by the SNR and the clarity that the
network's heads say of every segment and by the magnitude of its embedding, and with that the
coefficients once more. Told only which segments are degraded, a fit gained next to nothing (Cllr
0.245 for 0.248): what matters is how much. ``half_speech_s`` stays what it was before: found anew
with the rest it is smaller, for as good a Cllr (0.213 for 0.214), and ratios by which more
takeovers are missed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from msgspec.structs import replace as replace_fields
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from engine.model.manifest import Calibration, DecisionFigures, MagnitudeFigures
from engine.scoring.scorer import llr, speech_gain
from engine.scoring.worth import lacking, worth_s
from models.calibration.heldout_trials import WHOLE
from models.calibration.rate_fit import fit_bounds
from models.metrics import measure

HALF_SPEECH_S = (0.05, 20.0)
RIDGE = 1e-4  # on standardised coefficients: only to keep collinear terms from running off
SMALLEST_SLOPE = 1e-3  # of the ratio over the normalised score
FOLDS = 5  # of the cross-validation, by speakers
MOST_MISLABELLED = 0.2  # share of a source's target trials
LEAST_MISLABELLED = 1e-6  # above 0, of which the objective takes the logarithm
TERMS = 7  # coefficients of the ratio
# What 20 dB less of SNR and of C50 add, and the weight of magnitudes: where the search starts.
WORTH, MOST_ADDED, MOST_WEIGHT = (1.0, 1.0, 3.0), 50.0, 20.0

Float64 = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class ScoredTrials:
    """Scored trials as columns ``(P,)``; ``speakers`` ``(P, 2)`` is enrolled and tested.

    ``source`` numbers the corpora that the tested speakers come from, from 0. ``heard``
    ``(P, 3)`` says how the tested side was heard, as :meth:`Encoder.hear` does.
    """

    norm: Float64
    cosine: Float64
    enrol_s: Float64
    test_s: Float64
    label_s: Float64
    degraded: Bools
    target: Bools
    weight: Float64
    speakers: Ints
    source: Ints
    heard: Float64

    def where(self, rows: Bools) -> ScoredTrials:
        """Some of the trials, their weights again summing to one over either kind."""
        kept = replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})
        weight = kept.weight.copy()
        for kind in (kept.target, ~kept.target):
            weight[kind] /= weight[kind].sum()
        return replace(kept, weight=weight)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration, and the share of mislabelled target pairs found in each source."""

    calibration: Calibration
    mislabelled: tuple[float, ...]


def fit(trials: ScoredTrials, *, raw_cosine: bool) -> Fitted:
    """The calibration of least Cllr; ``raw_cosine`` lets the cosine speak beside the norm."""
    theta = np.array([0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
    theta = np.append(theta, np.full(int(trials.source.max()) + 1, 0.01))

    def cost(log_half: float) -> float:
        nonlocal theta  # the next search starts where the last one ended: a few steps do
        theta, least = _fit_linear(trials, math.exp(log_half), raw_cosine, theta)
        return least

    low, high = (math.log(h) for h in HALF_SPEECH_S)
    best = minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 0.1})
    half = math.exp(float(best.x))
    theta, _ = _fit_linear(trials, half, raw_cosine, theta)
    seconds = worth_s(_worth_fitted(half, theta, trials), trials.test_s, trials.heard)
    theta, _ = _fit_linear(replace(trials, test_s=seconds), half, raw_cosine, theta)
    rates = tuple(float(e) for e in theta[TERMS:])
    return Fitted(_worth_fitted(half, theta, trials), rates)


def _features(trials: ScoredTrials, half_speech_s: float, raw_cosine: bool) -> Float64:
    """Columns ``(P, 7)``. The slopes are given by their values at ``g = 0`` and ``g = 1``:
    that both are positive there is then a bound, and makes them so in between."""
    g = speech_gain(half_speech_s, trials.enrol_s, trials.test_s)
    cosine = trials.cosine if raw_cosine else np.zeros_like(trials.cosine)
    columns = [trials.norm * (1 - g), trials.norm * g, cosine * (1 - g), cosine * g]
    return np.stack([*columns, np.ones_like(g), g, g * g], axis=1)


def _fit_linear(
    trials: ScoredTrials, half_speech_s: float, raw_cosine: bool, start: Float64
) -> tuple[Float64, float]:
    """Coefficients of the features and rates of mislabelling, of least penalised Cllr (in
    bits), and that Cllr."""
    features = _features(trials, half_speech_s, raw_cosine)
    scale = np.sqrt((trials.weight[:, None] * features**2).sum(axis=0) / 2)
    scale = np.where(scale > 0, scale, 1.0)
    features = features / scale
    sign = np.where(trials.target, 1.0, -1.0)
    sources = len(start) - TERMS

    def cost(point: Float64) -> tuple[float, Float64]:
        theta, rates = point[:TERMS], point[TERMS:]
        ratio, rate = features @ theta, rates[trials.source]
        shown = _shown(ratio, rate)
        evidence = sign * shown
        loss = trials.weight @ np.logaddexp(0.0, -evidence) / (2 * math.log(2))
        slope = -sign * trials.weight * 0.5 * (1 - np.tanh(0.5 * evidence)) / (2 * math.log(2))
        by_ratio = slope * np.exp(np.log1p(-rate) + ratio - shown)
        by_rate = slope * (np.exp(-shown) - np.exp(ratio - shown))
        gradient = np.append(
            features.T @ by_ratio + 2 * RIDGE * theta,
            np.bincount(trials.source, by_rate, minlength=sources),
        )
        return float(loss + RIDGE * theta @ theta), gradient

    # Strictly rising in the normalised score, never falling in the cosine.
    floor = SMALLEST_SLOPE * scale[:2]
    bounds: list[tuple[float | None, float | None]] = [(floor[0], None), (floor[1], None)]
    bounds += [(0, None), (0, None), *[(None, None)] * 3]
    bounds += [(LEAST_MISLABELLED, MOST_MISLABELLED)] * sources
    scales = np.append(scale, np.ones(sources))
    found = minimize(cost, start * scales, jac=True, bounds=bounds, method="L-BFGS-B")
    return np.asarray(found.x / scales, np.float64), float(found.fun)


def _worth_fitted(half_speech_s: float, theta: Float64, trials: ScoredTrials) -> Calibration:
    """The calibration of these coefficients, with what speech is worth: what gives the least Cllr.

    ``theta`` is as :func:`_fit_linear` gives it.
    """
    calibration = _as_calibration(half_speech_s, theta[:TERMS])
    rate = theta[TERMS:][trials.source]
    usual, noisy = _usual(trials), lacking(trials.heard[:, :-1]).any()
    if usual is None and not noisy:
        return calibration

    def heard(found: Float64) -> Calibration:
        magnitude = usual and replace_fields(usual, weight=float(found[2]))
        acoustics = float(found[0]), float(found[1])
        return replace_fields(calibration, acoustics=acoustics, magnitude=magnitude)

    def cost(found: Float64) -> float:
        return _cllr(_shown(ratios(heard(found), trials), rate), trials)

    bounds = [(0, MOST_ADDED if noisy else 0)] * 2 + [(0, MOST_WEIGHT if usual else 0)]
    start = np.minimum(WORTH, [bound for _, bound in bounds])
    return heard(minimize(cost, start, bounds=bounds, method="L-BFGS-B").x)


def _usual(trials: ScoredTrials) -> MagnitudeFigures | None:
    """The usual magnitude of an embedding by the speech behind it, where it is known."""
    magnitude = trials.heard[:, -1]
    rows = np.isfinite(magnitude) & ~trials.degraded
    if len(np.unique(trials.test_s[rows])) < 2:
        return None
    slope, usual = np.polyfit(
        np.log(trials.test_s[rows]), magnitude[rows], 1, w=np.sqrt(trials.weight[rows])
    )
    return MagnitudeFigures(usual=float(usual), slope=float(slope), weight=0.0)


def _shown(ratio: Float64, rate: Float64) -> Float64:
    """The log-ratio that labels show which are wrong at ``rate`` among targets."""
    return np.asarray(np.logaddexp(np.log1p(-rate) + ratio, np.log(rate)), np.float64)


def _as_calibration(half_speech_s: float, theta: Float64) -> Calibration:
    at_none, at_all, raw_none, raw_all, *offset = (float(x) for x in theta)
    return Calibration(
        half_speech_s=half_speech_s,
        slope=(at_none, at_all - at_none),
        cosine=(raw_none, raw_all - raw_none),
        offset=(offset[0], offset[1], offset[2]),
    )


def ratios(calibration: Calibration, trials: ScoredTrials) -> Float64:
    """LLRs ``(P,)`` of trials."""
    test_s = worth_s(calibration, trials.test_s, trials.heard)
    return llr(calibration, trials.norm, trials.cosine, trials.enrol_s, test_s)


@dataclass(frozen=True, slots=True)
class CrossValidated:
    """What a fit gives on speakers that it has not seen.

    ``cllr`` allows for the mislabelling that the fit found, ``table`` takes every label as it
    stands. ``scored`` ``(P,)`` are the trials within a fold, and ``evidence`` is that of each of
    them, by bounds that were fitted on the other folds too.
    """

    cllr: float
    table: list[dict[str, Any]]
    scored: Bools
    evidence: Float64


def cross_validate(trials: ScoredTrials, folds: Ints, *, raw_cosine: bool) -> CrossValidated:
    """Each fold scored by a fit on the others; ``folds`` has the fold of each speaker.

    What crosses the border of a fold is left out.
    """
    sides = folds[trials.speakers]
    llr, shown = np.full(len(trials.norm), np.nan), np.full(len(trials.norm), np.nan)
    evidence = llr.copy()
    for k in np.unique(folds):
        outside, rows = (sides != k).all(axis=1), (sides == k).all(axis=1)
        others = trials.where(outside)
        fitted = fit(others, raw_cosine=raw_cosine)
        every = ratios(fitted.calibration, trials)
        slope, offset = fit_bounds(every[outside & ~trials.target], stranger_weights(others))
        figures = DecisionFigures(slope=slope, offset=offset)
        llr[rows], evidence[rows] = every[rows], figures.evidence(every[rows])
        rates = np.full(int(trials.source.max()) + 1, LEAST_MISLABELLED)
        rates[: len(fitted.mislabelled)] = fitted.mislabelled
        shown[rows] = _shown(llr[rows], rates[trials.source[rows]])
    scored = np.isfinite(llr)
    kept = trials.where(scored)
    return CrossValidated(
        _cllr(shown[scored], kept), table(llr[scored], kept), scored, evidence[scored]
    )


def stranger_weights(trials: ScoredTrials) -> Float64:
    """What each non-target trial counts for, in their order: sources alike."""
    weight, source = trials.weight[~trials.target], trials.source[~trials.target]
    per_source = np.bincount(source, weight)
    return np.asarray(weight / per_source[source], np.float64)


def deal_folds(groups: Sequence[Hashable], rng: np.random.Generator) -> Ints:
    """A fold for each speaker, who belongs to one of ``groups``; folds are of about one size.

    A small group stays whole: its members are each other's non-targets, and split up they
    would meet nobody. One larger than a fold is dealt out singly.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for speaker, group in enumerate(groups):
        members[group].append(speaker)
    hands: list[list[int]] = []
    for own in members.values():
        hands += [own] if len(own) <= len(groups) / FOLDS else [[speaker] for speaker in own]
    order = rng.permutation(len(hands))
    folds, size = np.zeros(len(groups), np.intp), np.zeros(FOLDS, np.intp)
    for hand in sorted((hands[i] for i in order), key=len, reverse=True):
        folds[hand] = emptiest = int(size.argmin())
        size[emptiest] += len(hand)
    return folds


def _cllr(evidence: Float64, trials: ScoredTrials) -> float:
    signed = np.where(trials.target, -evidence, evidence)
    return float(trials.weight @ np.logaddexp(0.0, signed) / (2 * math.log(2)))


def table(evidence: Float64, trials: ScoredTrials) -> list[dict[str, Any]]:
    """Cllr, minCllr and EER by test duration, clean and degraded, unweighted trials."""
    rows = []
    for degraded in (False, True):
        for label in np.unique(trials.label_s[trials.degraded == degraded]):
            here = (trials.label_s == label) & (trials.degraded == degraded)
            target = trials.target[here]
            if target.all() or not target.any():
                continue
            figures = measure(evidence[here], target, is_llr=True)
            rows.append(
                {
                    "test_s": "utterance" if label == WHOLE else float(label),
                    "condition": "degraded" if degraded else "clean",
                    "targets": int(target.sum()),
                    "nontargets": int((~target).sum()),
                    **{k: round(figures[k], 4) for k in ("eer", "cllr", "min_cllr")},
                }
            )
    return rows
