"""How many bits sound takes: by linear prediction, as lossless coders do it (Shorten, FLAC).

A sample is predicted from those before it, by least squares over the block, and the error is coded
by a two-sided geometric distribution whose spread follows the sound. Errors are counted in steps of
the form's own scale at that level, so that companded and even samples are compared fairly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

LAGS = 8  # samples before, that one is predicted from
RUN = 64  # samples in a row with one spread
SPREAD_BITS = 5.0  # a spread's own cost
ANY, ALIKE, OPPOSED = (-np.inf, np.inf), (0.0, np.inf), (-np.inf, 0.0)  # weights
LARGE = 1e6  # steps: an error of this size takes as many bits as if there were no steps


class Samples(NamedTuple):
    """``levels`` ``(N,)`` in any unit, and what counts such levels in the steps of their form.

    ``coarse`` is for each by how many bits its own step is coarser than that, if they differ.
    """

    levels: Float64
    steps: Callable[[Float64], Float64]
    coarse: Float64 | None = None

    def part(self, start: int, stride: int) -> Samples:
        """One channel of those that are interleaved."""
        coarse = None if self.coarse is None else self.coarse[start::stride]
        return Samples(self.levels[start::stride], self.steps, coarse)


def predicted_bits(samples: Samples) -> float:
    """Bits of the samples of one channel, each predicted from ``LAGS`` before it."""
    return _error_bits(samples, _before(samples.levels, LAGS))


def apart_bits(samples: Samples, channels: int) -> float:
    """Bits of interleaved samples of so many channels, each predicted by itself."""
    return sum(predicted_bits(samples.part(channel, channels)) for channel in range(channels))


def bits_of_two(samples: Samples) -> tuple[float, float]:
    """Bits of each of two interleaved channels, of which the first predicts the second, too."""
    left, right = samples.part(0, 2), samples.part(1, 2)
    own = _before(right.levels, LAGS // 2)
    other = _before(left.levels, LAGS // 2 - 1)
    return predicted_bits(left), _error_bits(right, np.concatenate([own, other]))


def _before(levels: Float64, lags: int) -> Float64:
    """Samples from the ``LAGS``-th on, and under each those before it: ``(lags + 1, N - LAGS)``."""
    return np.stack([levels[LAGS - lag : len(levels) - lag] for lag in range(lags + 1)])


def _error_bits(samples: Samples, rows: Float64) -> float:
    """Bits of the first row, predicted from the others and a constant."""
    constant = np.full((1, rows.shape[1]), np.abs(rows[0]).max() + 1)  # of about their size
    known = np.concatenate([rows, constant])
    products = known @ known.T
    powers = np.einsum("ii->i", products)  # a view
    powers *= 1 + 1e-9
    powers += 1e-3 * rows.shape[1]
    weights = np.linalg.solve(products[1:, 1:], products[1:, 0])
    errors = samples.steps(known[0]) - samples.steps(weights @ known[1:])
    bits = _bits(errors, None if samples.coarse is None else samples.coarse[LAGS:])
    return bits * len(samples.levels) / len(errors)


def saved_as_two(samples: Samples) -> float:
    """Bits that interleaved samples take less as two channels than as one.

    Each is predicted from a single one: of one channel that before it (or the one before that, the
    other way up, as in a tone of a quarter of the rate), of two the one before in its own channel
    or, for the second, that of the first at the same moment. From more than one both ways would be
    predicted alike, as every other sample would be left out of the prediction.
    """
    levels, left, right = samples.levels, samples.levels[0::2], samples.levels[1::2]
    one = min(
        _bits_from(samples, levels[1:], levels[:-1], ANY),
        _bits_from(samples, levels[2:], levels[:-2], OPPOSED),
    )
    first = _bits_from(samples, left[1:], left[:-1], ALIKE)
    second = min(
        _bits_from(samples, right, left, ANY),
        _bits_from(samples, right[1:], right[:-1], ALIKE),
    )
    return one - first - second


def _bits_from(
    samples: Samples, part: Float64, known: Float64, weights: tuple[float, float]
) -> float:
    """Bits of ``part``, predicted by ``known`` times a weight from the lowest to the highest."""
    middle, known = _median(part), known - _median(known)  # which clicks do not move
    power = float(np.dot(known, known))
    best = float(np.dot(part - middle, known)) / power if power else 0.0
    weight = min(max(best, weights[0]), weights[1])
    return _bits(samples.steps(part) - samples.steps(middle + weight * known), None)


def _median(levels: Float64) -> float:
    """As numpy's, which takes four times as long to look for what is no number."""
    high = len(levels) // 2
    low = high - 1 + len(levels) % 2
    around = np.partition(levels, (low, high))
    return float(around[low] + around[high]) / 2


def _bits(errors: Float64, coarse: Float64 | None) -> float:
    whole = len(errors) - len(errors) % RUN
    runs = np.abs(errors[:whole]).reshape(-1, RUN)
    if coarse is None:
        bits = _geometric_bits(runs.mean(axis=1))
    else:
        # What takes no bits, as zeros of floats, tells nothing of the others' spread.
        counted = np.isfinite(coarse[:whole]).reshape(-1, RUN)
        spread = (runs * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
        bits = np.maximum(np.repeat(_geometric_bits(spread), RUN) - coarse[:whole], 0)
    return (float(bits.mean()) + SPREAD_BITS / RUN) * len(errors)


def _geometric_bits(mean: Float64) -> Float64:
    """Bits of a whole number of either sign, geometrically distributed, by its mean size."""
    some = np.minimum(np.maximum(mean, 1e-6), LARGE)
    ratio = (np.sqrt(1 + some**2) - 1) / some
    bits = np.log2((1 + ratio) / (1 - ratio)) - some * np.log2(ratio)
    return np.asarray(bits + np.log2(np.maximum(mean / LARGE, 1)), np.float64)


def repeated_bits(samples: Samples, longest: int) -> float:
    """Bits of samples, if each is told by how it differs from that of one period before.

    The period is of up to ``longest`` samples, whichever takes the fewest bits.
    """
    codes = samples.steps(samples.levels)
    lags = range(1, longest + 1)
    return min(_bits(codes[lag:] - codes[:-lag], None) for lag in lags)


def listed_bits(codes: NDArray[np.unsignedinteger], width: int) -> float:
    """Bits of codes if each that occurs is listed once, and named by how often it occurs."""
    counts = np.bincount(codes)
    counts = counts[counts > 0]
    return float(-(counts * np.log2(counts / len(codes))).sum()) + width * len(counts)
