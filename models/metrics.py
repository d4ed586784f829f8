"""Detection metrics of scored trials, with bootstrap intervals over speakers.

Scores rise with the belief in one speaker; a trial is accepted when its score is at least
the threshold. Log-likelihood ratios (LLR) are natural logs; Cllr is in bits. Costs of a
miss and of a false alarm are both 1.

EER is the crossing of the two error rates, interpolated linearly between neighbouring
thresholds (not the convex hull's, which is never higher). minDCF and actDCF are the
normalised detection cost of NIST SRE 2008 onwards. Cllr and minCllr follow Brummer and du
Preez, "Application-independent evaluation of speaker detection" (Computer Speech and
Language, 2006): minCllr is Cllr after the best monotone rescoring, found by pooling
adjacent violators (PAV).

Everything takes weights ``(R, N)`` for R resamples of N trials, and sorts only once. What
depends on order alone is computed over *runs*: neighbours in the ranking of the same kind.
Within a run only one error rate moves, so nothing is lost at its ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

P_TARGETS = {"05": 0.05, "01": 0.01}
ORDER_METRICS = ("eer", "min_dcf_05", "min_dcf_01", "min_cllr")
LLR_METRICS = ("act_dcf_05", "act_dcf_01", "cllr")
ROUNDING = 1e-9  # of a block's weight: less than this share of non-targets is none
BLOCK = 32  # resamples at a time: 32 x 40,000 weights are 10 MB

Float64 = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Rates at each threshold, thresholds rising: a DET curve. ``miss`` and ``false_alarm`` have
    shape ``(R, K)`` for R resamples; ``threshold`` ``(K,)`` ends with infinity."""

    threshold: Float64
    miss: Float64
    false_alarm: Float64


class RankedTrials:
    """Trials in the order of their scores: everything that no weight changes.

    ``scores`` ``(N,)`` finite, ``target`` ``(N,)`` true where both voices are one speaker.
    Raises ``ValueError`` for other shapes, for NaN, and unless both kinds of trial are there.
    """

    def __init__(self, scores: Float64, target: Bools) -> None:
        scores, target = np.asarray(scores, np.float64), np.asarray(target, bool)
        if scores.ndim != 1 or scores.shape != target.shape:
            raise ValueError(f"scores {scores.shape} and target {target.shape} must both be (N,)")
        if not np.isfinite(scores).all():
            raise ValueError("scores must be finite")
        if target.all() or not target.any():
            raise ValueError("both target and non-target trials are needed")
        self.order = np.argsort(scores, kind="stable")
        self._target = target[self.order]
        self.starts = _run_starts(scores[self.order], self._target)
        self.threshold = np.append(scores[self.order][self.starts], np.inf)

    def runs(self, weights: Float64) -> tuple[Float64, Float64]:
        """Weight of targets and of non-targets in each run, ``(R, K)``, from ``(R, N)``."""
        ranked = weights[:, self.order]
        target = np.add.reduceat(ranked * self._target, self.starts, axis=1)
        everything = np.add.reduceat(ranked, self.starts, axis=1)
        return target, everything - target


def _run_starts(scores: Float64, target: Bools) -> Ints:
    """Where runs start in ranked trials. Equal scores stay together, whatever their kinds."""
    ties = np.flatnonzero(np.append(True, scores[1:] != scores[:-1]))
    of_ties = np.diff(np.append(ties, len(scores)))
    share = np.add.reduceat(target.astype(np.float64), ties) / of_ties
    mixed = (share > 0) & (share < 1)
    apart = (share[1:] != share[:-1]) | mixed[1:] | mixed[:-1]
    starts: Ints = ties[np.append(True, apart)]
    return starts


def error_rates(ranking: RankedTrials, target: Float64, nontarget: Float64) -> ErrorRates:
    """Miss and false-alarm rates from run weights; NaN where a resample lacks one kind."""
    zero = np.zeros((len(target), 1))
    below = np.concatenate([zero, np.cumsum(target, axis=1)], axis=1)
    rejected = np.concatenate([zero, np.cumsum(nontarget, axis=1)], axis=1)
    with np.errstate(invalid="ignore"):
        miss = below / below[:, -1:]
        false_alarm = (rejected[:, -1:] - rejected) / rejected[:, -1:]
    return ErrorRates(ranking.threshold, miss, false_alarm)


def det_curve(scores: Float64, target: Bools, weights: Float64 | None = None) -> ErrorRates:
    """Points of the DET curve of trials ``(N,)``, weighted by ``(N,)``: rates ``(1, K)``."""
    ranking = RankedTrials(scores, target)
    rows = np.ones((1, len(scores))) if weights is None else np.asarray(weights)[None]
    return error_rates(ranking, *ranking.runs(rows))


def _eer(rates: ErrorRates) -> Float64:
    gap = rates.false_alarm - rates.miss
    at = np.argmax(gap <= 0, axis=1)  # at least 1: the first threshold accepts everything
    rows = np.arange(len(gap))
    before, after = gap[rows, at - 1], gap[rows, at]
    share = before / (before - after)
    low, high = rates.miss[rows, at - 1], rates.miss[rows, at]
    return np.asarray(low + share * (high - low), np.float64)


def _min_dcf(rates: ErrorRates, p_target: float) -> Float64:
    cost = p_target * rates.miss + (1 - p_target) * rates.false_alarm
    return np.asarray(cost.min(axis=1) / min(p_target, 1 - p_target), np.float64)


def _act_dcf(llr: Float64, target: Bools, weights: Float64, p_target: float) -> Float64:
    accepted = llr >= np.log((1 - p_target) / p_target)
    miss = _mean(~accepted & target, target, weights)
    false_alarm = _mean(accepted & ~target, ~target, weights)
    cost = p_target * miss + (1 - p_target) * false_alarm
    return np.asarray(cost / min(p_target, 1 - p_target), np.float64)


def _cllr(llr: Float64, target: Bools, weights: Float64) -> Float64:
    bits = np.logaddexp(0, np.where(target, -llr, llr)) / np.log(2)
    both = _mean(bits * target, target, weights) + _mean(bits * ~target, ~target, weights)
    return np.asarray(both / 2, np.float64)


def _mean(values: Float64 | Bools, among: Bools, weights: Float64) -> Float64:
    with np.errstate(invalid="ignore"):
        return np.asarray((weights @ values) / (weights @ among.astype(np.float64)), np.float64)


def _pool(total: Float64, weight: Float64, first: Bools) -> tuple[Ints, Float64, Float64]:
    """PAV's blocks over points with mean ``total / weight``: starts, totals and weights.

    Weights are positive; ``first`` marks the points that begin a sequence of their own. All
    neighbours that do not rise are pooled at once, which is PAV in another order: any run of
    violators ends in one block. A pass is a few numpy calls, some ten are enough in practice.
    """
    starts = np.arange(len(total))
    while True:
        mean = total / weight
        keep = first.copy()
        keep[1:] |= mean[1:] > mean[:-1]
        if keep.all():
            return starts, total, weight
        at = np.flatnonzero(keep)
        total, weight = np.add.reduceat(total, at), np.add.reduceat(weight, at)
        starts, first = starts[at], first[at]


def isotonic(values: Float64, weights: Float64 | None = None) -> Float64:
    """The non-decreasing sequence nearest to ``values`` ``(N,)`` in weighted squares (PAV)."""
    values = np.asarray(values, np.float64)
    weights = np.ones_like(values) if weights is None else np.asarray(weights, np.float64)
    if values.ndim != 1 or values.shape != weights.shape or not np.all(weights > 0):
        raise ValueError("values and weights must both be (N,), with positive weights")
    if not len(values):
        return values
    first = np.zeros(len(values), bool)
    first[0] = True
    starts, totals, sums = _pool(values * weights, weights, first)
    return np.repeat(totals / sums, np.diff(np.append(starts, len(values))))


def _min_cllr(target: Float64, nontarget: Float64) -> Float64:
    """From run weights ``(R, K)``: Cllr with every block of PAV at its own best LLR."""
    rows, columns = np.nonzero(target + nontarget > 0)  # a run that nobody drew has no say
    hits, others = target[rows, columns], nontarget[rows, columns]
    if not len(rows):
        return np.full(len(target), np.nan)
    first = np.append(True, rows[1:] != rows[:-1])
    starts, hits, both = _pool(hits, hits + others, first)
    others, rows = both - hits, rows[starts]
    others = np.where(others > ROUNDING * both, others, 0.0)  # weights need not be whole numbers
    all_hits, all_others = target.sum(axis=1)[rows], nontarget.sum(axis=1)[rows]
    # A block's LLR is log(hits / others) less that of the whole; where either is none, the
    # LLR is infinite on the right side and costs nothing.
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = (hits / all_hits) / (others / all_others)
        bits = np.where(hits > 0, hits / all_hits * np.log2(1 + 1 / odds), 0.0)
        bits = bits + np.where(others > 0, others / all_others * np.log2(1 + odds), 0.0)
    result = np.bincount(rows, weights=bits, minlength=len(target)) / 2
    lacking = (target.sum(axis=1) == 0) | (nontarget.sum(axis=1) == 0)
    return np.where(lacking, np.nan, result)


def _measure(
    ranking: RankedTrials, scores: Float64, target: Bools, weights: Float64, is_llr: bool
) -> dict[str, Float64]:
    runs = ranking.runs(weights)
    rates = error_rates(ranking, *runs)
    result = {"eer": _eer(rates), "min_cllr": _min_cllr(*runs)}
    for name, p_target in P_TARGETS.items():
        result[f"min_dcf_{name}"] = _min_dcf(rates, p_target)
        if is_llr:
            result[f"act_dcf_{name}"] = _act_dcf(scores, target, weights, p_target)
    if is_llr:
        result["cllr"] = _cllr(scores, target, weights)
    return result


def measure(
    scores: Float64, target: Bools, *, is_llr: bool, weights: Float64 | None = None
) -> dict[str, float]:
    """Every metric of trials ``(N,)`` by name: ``ORDER_METRICS``, and for LLRs ``LLR_METRICS``.

    ``weights`` ``(N,)`` says how much each trial counts among its kind, all alike unless given.
    Rates and normalised costs are fractions. Raises ``ValueError`` as :class:`RankedTrials` does.
    """
    scores, target = np.asarray(scores, np.float64), np.asarray(target, bool)
    ranking = RankedTrials(scores, target)
    rows = np.ones((1, len(scores))) if weights is None else np.asarray(weights)[None]
    values = _measure(ranking, scores, target, rows, is_llr)
    return {name: float(value[0]) for name, value in values.items()}


def bootstrap(
    scores: Float64,
    target: Bools,
    speakers: Ints,
    *,
    is_llr: bool,
    resamples: int,
    seed: int,
) -> dict[str, Float64]:
    """Each metric's ``(resamples,)`` values when the speakers are drawn again, with replacement.

    ``speakers`` ``(N, 2)`` numbers the speaker of either side. A target trial weighs as often
    as its speaker was drawn, a non-target trial the product for its two: trials that share a
    speaker are not independent, speakers are. The draws depend on ``seed`` and the number of
    speakers only, so that two systems on the same trials are compared pairwise. Draws without
    target trials give NaN.
    """
    scores, target = np.asarray(scores, np.float64), np.asarray(target, bool)
    ranking = RankedTrials(scores, target)
    _, numbered = np.unique(speakers, return_inverse=True)
    left, right = numbered.reshape(speakers.shape).T
    drawn = draw_speakers(int(numbered.max()) + 1, resamples, seed)
    blocks = []
    for i in range(0, resamples, BLOCK):
        count = drawn[i : i + BLOCK]
        weights = np.where(target, count[:, left], count[:, left] * count[:, right])
        blocks.append(_measure(ranking, scores, target, weights, is_llr))
    if not blocks:
        return {}
    return {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}


def draw_speakers(speakers: int, resamples: int, seed: int) -> Float64:
    """How often each speaker is drawn in each resample, ``(resamples, speakers)``."""
    rng = np.random.default_rng(seed)
    shares = np.full(speakers, 1 / speakers)
    return rng.multinomial(speakers, shares, size=resamples).astype(np.float64)


def interval(values: Float64, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrap values; NaN where there are none."""
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
