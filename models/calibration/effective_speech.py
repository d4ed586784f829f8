"""What more speech of one voice is worth: the effective sample size of a run, fitted and shown.

Were each second news, the squared distance between the scores of the right speaker and those
of others, in units of their spread (d' squared), would grow in proportion to the seconds. It
saturates, because what a second says of a voice the seconds before it have mostly said: after
``t`` seconds it is ``D t / (t + h)``, as if there were ``h t / (t + h)`` seconds of news. ``h``
is fitted to the runs of held-out speakers, each as one averaged embedding. d' is that of two
normal distributions with the false accepts that were measured where a quarter of the targets is
missed: there the few that are labelled with the wrong name hardly count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import ndtri

from models.calibration.evidence_trials import EvidenceTrial

SECONDS = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)  # of net speech, that runs are measured at
MISSED = 0.25  # share of the targets that the threshold of a measurement misses
FEWEST = 20  # runs of a source and kind: fewer say little
HALF_S = (0.01, 1000.0)  # bounds of the search for h, in seconds

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Effective:
    """``separation`` is d' squared after ``seconds``; ``half_s`` and ``most`` are ``h`` and ``D``
    of the module's law, ``runs`` is the number of runs that it was measured on."""

    seconds: tuple[float, ...]
    separation: tuple[float, ...]
    half_s: float
    most: float
    runs: int


def fit_effective(runs: Sequence[EvidenceTrial]) -> Effective | None:
    """The law that fits runs of :data:`SECONDS` and more; ``None`` where they are too few.

    Sources weigh alike. The same runs are measured at every length.
    """
    long = [run for run in runs if run.speech_s[-1] >= SECONDS[-1]]
    cells, cell = np.unique([f"{run.source} {run.target}" for run in long], return_inverse=True)
    count = np.bincount(cell, minlength=len(cells))
    long = [run for run, one in zip(long, cell, strict=True) if count[one] >= FEWEST]
    weight = np.array([1 / count[one] for one in cell if count[one] >= FEWEST])
    target = np.array([run.target for run in long], bool)
    if not target.any() or target.all():
        return None
    separation = np.array([_separation(long, target, weight, seconds) for seconds in SECONDS])
    at, log = np.array(SECONDS), np.log(separation)

    def cost(log_half: float) -> float:
        return float(np.var(log - np.log(at / (at + np.exp(log_half)))))

    low, high = np.log(HALF_S)
    half_s = float(np.exp(minimize_scalar(cost, bounds=(low, high), method="bounded").x))
    most = float(np.exp(np.mean(log - np.log(at / (at + half_s)))))
    return Effective(SECONDS, tuple(separation.tolist()), half_s, most, len(long))


def _separation(
    runs: Sequence[EvidenceTrial], target: NDArray[np.bool_], weight: Float64, seconds: float
) -> float:
    """d' squared of the runs after so many seconds."""
    llr = np.array([run.llr[np.argmin(np.abs(run.speech_s - seconds))] for run in runs])
    threshold = np.quantile(llr[target], MISSED, weights=weight[target], method="inverted_cdf")
    accepted = np.average(llr[~target] >= threshold, weights=weight[~target])
    least = 0.5 / np.count_nonzero(~target)  # one that was not seen may still be there
    return float((ndtri(MISSED) + ndtri(max(accepted, least))) ** 2)


def plot_effective(found: Effective, path: Path) -> None:
    """The points, the law, and what it would be if each second were news."""
    at = np.linspace(found.seconds[0], found.seconds[-1], 200)
    law = found.most * at / (at + found.half_s)
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.plot(found.seconds, found.separation, "o", label="measured, held-out speakers")
    axes.plot(at, law, label=f"D t / (t + h), h = {found.half_s:.1f} s")
    axes.plot(at, law[0] * at / at[0], "--", label="if each second were news")
    axes.set(xlabel="net speech of the run, s", ylabel="d' squared", ylim=(0, 2 * law[-1]))
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
