"""Figures over conversations, with intervals from drawing the speakers again.

A conversation weighs as often as its claimed speaker was drawn, times as often as the
stranger was: conversations that share a voice are not independent, voices are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.benchmark.truth import Truth
from models.evaluation.report import Estimate
from models.metrics import draw_speakers, interval

Float64 = NDArray[np.float64]
RULE_OF_THREE = 3.0  # events that never happened in N tries: under 3/N with 95 % confidence


class Draws:
    """The bootstrap of one report: the same draws of speakers for every system and figure."""

    def __init__(self, speakers: int, resamples: int, seed: int) -> None:
        self._drawn = draw_speakers(speakers, resamples, seed)

    def weights(self, truths: Sequence[Truth]) -> Float64:
        """Weight of each conversation in each resample, ``(R, N)``."""
        weights = np.ones((len(self._drawn), len(truths)))
        for i, truth in enumerate(truths):
            for voice in truth.voices:
                weights[:, i] *= self._drawn[:, voice]
        return weights


def quantile(values: Sequence[float], weights: Float64, q: float) -> Estimate:
    """The ``q`` quantile of values, of which some may be infinite; NaN of none."""
    array = np.asarray(values, np.float64)
    if not len(array):
        return Estimate(float("nan"), float("nan"), float("nan"))
    point = _quantile(array, np.ones((1, len(array))), q)
    resampled = _quantile(array, weights, q)
    low, high = _interval(resampled)
    return Estimate(float(point[0]), low, high)


def _quantile(values: Float64, weights: Float64, q: float) -> Float64:
    """Smallest value with at least ``q`` of the weight at or under it, ``(R,)``."""
    order = np.argsort(values)
    sums = np.cumsum(weights[:, order], axis=1)
    total = sums[:, -1]
    at = np.argmax(sums >= (q * total - 1e-9)[:, None], axis=1)
    return np.where(total > 0, values[order][at], np.nan)


def _interval(resampled: Float64) -> tuple[float, float]:
    known = np.sort(resampled[~np.isnan(resampled)])
    if not len(known):
        return float("nan"), float("nan")
    # By rank: an average with infinity has no meaning.
    low, high = (known[min(len(known) - 1, int(p * len(known)))] for p in (0.025, 0.975))
    return float(low), float(high)


def ratio(part: Sequence[float], whole: Sequence[float], weights: Float64) -> Estimate:
    """Sum over sum; NaN of nothing."""
    over, under = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    if under.sum() <= 0:
        return Estimate(float("nan"), float("nan"), float("nan"))
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = interval((weights @ over) / (weights @ under))
    return Estimate(float(over.sum() / under.sum()), low, high)


def rate(events: Sequence[float], exposure: Sequence[float], weights: Float64) -> Estimate:
    """Events by tries, or by hours. Where none was seen the upper end is the rule of three's."""
    figure = ratio(events, exposure, weights)
    if any(events) or sum(exposure) <= 0:
        return figure
    return Estimate(0.0, 0.0, RULE_OF_THREE / float(sum(exposure)))


def percent(figure: Estimate) -> Estimate:
    """A share of at most 1, in per cent."""
    value, low, high = np.minimum(100 * np.array([figure.value, figure.low, figure.high]), 100)
    return Estimate(float(value), float(low), float(high))
