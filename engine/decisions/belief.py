"""What is held to be true of who speaks at one place, from the weights of the hypotheses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine.scoring.scorer import PreparedEmbeddings

Float64 = NDArray[np.float64]

RAREST = 1e-12  # a probability that stands for none
NEAR_LOG_ODDS = 2.0  # that another voice is at the microphone and not far from it: no question


@dataclass(frozen=True, slots=True, eq=False)
class Hypothesis:
    """Another voice began at net sample ``position``.

    ``before`` is the speech of the segment until then, and ``matched`` ``(N + 1,)`` the
    probabilities that it is that of each person enrolled or, last, a stranger's. It was heard from
    ``begun`` on, or before, and was as loud as ``dbfs``, where that is known.
    """

    position: int
    log_prior: float
    before: PreparedEmbeddings
    matched: Float64
    begun: int
    dbfs: float | None


@dataclass(frozen=True, eq=False)
class Belief:
    """What the filter holds to be true at one place.

    ``speaks`` ``(N + 1,)`` are the probabilities that each person enrolled speaks now or, last, a
    stranger. ``log_odds`` are those of a change within the segment, ``best`` is the likeliest
    moment of one, if there is any, and ``llr`` how the speech since then goes with the voice
    before it. ``another`` are those of another voice, be it at the microphone or far. ``far`` is
    when a voice far from the microphone began, where it is likelier than not that one speaks now.
    """

    speaks: Float64
    log_odds: float = -math.inf
    best: Hypothesis | None = None
    llr: float = 0.0
    another: float = -math.inf
    far: Hypothesis | None = None

    @cached_property
    def odds(self) -> Float64:
        """Log odds ``(N,)`` that each person speaks now."""
        return np.asarray(log(self.speaks) - log(1 - self.speaks), np.float64)[:-1]

    @cached_property
    def anybody(self) -> float:
        """The log ratio of any of the people speaking now to a stranger doing so."""
        stranger, people = self.speaks[-1:], len(self.speaks) - 1
        return float((log(1 - stranger) - log(stranger))[0]) - math.log(max(people, 1))


def log(probability: Float64) -> Float64:
    """The logarithm, which is finite of a probability of 0, too."""
    return np.asarray(np.log(np.maximum(probability, RAREST)), np.float64)


def belief_of(
    hypotheses: Sequence[Hypothesis],
    speaks: Float64,
    voice: Float64,
    log_weight: Float64,
    far: Float64,
) -> Belief:
    """What follows of no change, whose weight is 1, of takeovers, and of voices in the background.

    While one of those speaks, whoever spoke before is still there. Where it is hardly one of those,
    how far a voice is limits not how sure it is that it is another one.
    """
    takeover = log_weight - np.logaddexp(0.0, far)
    background = log_weight - np.logaddexp(0.0, -far)
    every = np.concatenate([[0.0], takeover, background])
    whose = np.concatenate([speaks, [one.matched for one in hypotheses]])
    weight = np.exp(every - every.max())
    best, begun_far = int(takeover.argmax()), np.logaddexp.reduce(background)
    taken = np.logaddexp.reduce(takeover)
    is_far = begun_far > np.logaddexp(0.0, taken)
    log_odds = taken - np.logaddexp(0.0, begun_far)
    if taken - begun_far >= NEAR_LOG_ODDS:
        log_odds = np.logaddexp(taken, begun_far)
    return Belief(
        np.asarray(weight @ whose / weight.sum(), np.float64),
        float(log_odds),
        hypotheses[best],
        float(voice[best]),
        float(np.logaddexp(taken, begun_far)),
        hypotheses[int(background.argmax())] if is_far else None,
    )
