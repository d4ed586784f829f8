"""Who is it? All enrolled voices at once, and the open set: the margin decides.

A stranger is compared with everybody, and the more people are enrolled the nearer the nearest
of them comes by chance. The best LLR alone would so accept more strangers the longer the list
grows. What decides is how far the best stands above everything else that could be: above the
others enrolled, and above nobody of them,

    evidence = L_best - log(1 + sum of exp(L_j) over the others).

With a calibrated LLR these are the odds of the best against the rest, each of the others and
the stranger being as likely beforehand. For one voice it is that voice's LLR: verification is
the case of a list of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.scores import CohortStats, Sides

Float64 = NDArray[np.float64]


class Voices:
    """The voiceprints of several speakers, in the order of their names, laid out as one."""

    def __init__(self, voiceprints: Mapping[str, Sides]) -> None:
        self.names = tuple(sorted(voiceprints))
        parts = [voiceprints[name] for name in self.names]
        # Rows of a speaker's prototypes: from one of these to the next.
        self.rows = np.cumsum([0, *(len(part.embeddings) for part in parts)])
        self.sides = _stacked(parts) if parts else None

    def by_speaker(self, llr: Float64) -> Float64:
        """Of ``llr`` ``(..., rows)`` each speaker's: of several prototypes the nearest speaks."""
        if len(self.rows) == llr.shape[-1] + 1:
            return llr
        return np.asarray(np.maximum.reduceat(llr, self.rows[:-1], axis=-1), np.float64)

    def row(self, speaker: int, llr: Float64) -> int:
        """The row of a speaker's nearest prototype."""
        start, end = self.rows[speaker], self.rows[speaker + 1]
        return int(start + np.argmax(llr[start:end]))


def _stacked(parts: list[Sides]) -> Sides:
    stats = [part.stats for part in parts if part.stats is not None]
    joined = None
    if stats:
        mean, std = np.concatenate([s.mean for s in stats]), np.concatenate([s.std for s in stats])
        joined = CohortStats(mean, std)
    embeddings = np.concatenate([part.embeddings for part in parts])
    return Sides(embeddings, np.concatenate([part.speech_s for part in parts]), joined)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best speaker, the next if there is one (numbers of speakers), and the evidence."""

    best: int
    runner_up: int | None
    evidence: float


def rank(llr: Float64) -> Ranking:
    """Who of the speakers with these LLRs ``(N,)`` it is most likely; of equals the first."""
    best = int(np.argmax(llr))
    if len(llr) == 1:
        return Ranking(best, None, float(llr[0]))
    return Ranking(best, int(np.argmax(_without(llr, best))), evidence_of(llr, best))


def evidence_of(llr: Float64, speaker: int) -> float:
    """The module's evidence, for a speaker who need not be the best."""
    if len(llr) == 1:
        return float(llr[0])
    others = _without(llr, speaker)
    highest = max(0.0, float(others.max()))
    rest = np.exp(-highest) + np.exp(others - highest).sum()
    return float(llr[speaker] - highest - np.log(rest))


def _without(llr: Float64, speaker: int) -> Float64:
    others = llr.copy()
    others[speaker] = -np.inf
    return others
