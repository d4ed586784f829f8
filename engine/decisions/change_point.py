"""Finds when the voice changed: the moment that explains the windows around it best.

An embedding of a window with two voices in it lies between theirs as their shares of its speech
do (measured on 195 joined pairs of held-out speakers: with 1/6 to 5/6 of the second voice its
share of the embedding was 0.17, 0.32, 0.51, 0.70 and 0.87). So for a change at ``c`` window ``i``
is ``P + f_i(c) (Q - P)`` and noise: ``P`` the voice before, ``f_i`` the share of window ``i``
after ``c``, ``Q`` unknown. Windows that overlap share their noise in proportion; least squares
that know this (generalised least squares) place the change without bias, plain ones put it
0.6 s early. Of the pauses near the best moment the best is taken, if there is any: people
begin to speak after one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.format import SAMPLE_RATE_HZ
from engine.speech.windows import WindowPlace

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

BACK_SAMPLES = 5 * SAMPLE_RATE_HZ  # A change is looked for in the last 5 s of net speech,
# and not in the last 0.9 s, of which not enough has been heard.
LATEST_SAMPLES = round(0.9 * SAMPLE_RATE_HZ)
STEP_SAMPLES = SAMPLE_RATE_HZ // 10  # Moments are tried each 0.1 s.
PAUSE_SAMPLES = SAMPLE_RATE_HZ // 2  # A pause within 0.5 s of the best moment is preferred.
# Variance of the noise that each window has to itself, relative to what it shares with others.
OWN_NOISE = 0.1


class Placed(Protocol):
    """An embedded window, as ``engine.decisions.change_detector.EmbeddedWindow``."""

    @property
    def place(self) -> WindowPlace: ...
    @property
    def embedding(self) -> Float32: ...


def locate(windows: Sequence[Placed], before: Float32, earliest: int) -> tuple[int, int]:
    """Net speech before the change and its media time, in samples.

    ``windows`` are the last ones in order, with the newest; ``before`` is the voice until then,
    which began at ``earliest``.
    """
    now = windows[-1].place.position
    runs = sorted({run for window in windows for run in window.place.runs})
    latest = now - LATEST_SAMPLES
    grid = np.arange(min(max(now - BACK_SAMPLES, earliest), latest), latest + 1, STEP_SAMPLES)
    fit = _explained(windows, before, grid)
    # Where windows are too far apart to tell, the earliest of the moments that do equally well.
    best = int(grid[int(np.argmax(fit >= (1 - 1e-9) * fit.max()))])
    pauses = np.array(
        [start for start, _ in runs[1:] if abs(start - best) <= PAUSE_SAMPLES], np.intp
    )
    if len(pauses):
        best = int(pauses[int(np.argmax(_explained(windows, before, pauses)))])
    return best, _media(runs, best)


def _explained(windows: Sequence[Placed], before: Float32, at: NDArray[np.intp]) -> Float64:
    """How much of the windows a change at each of ``at`` ``(C,)`` explains."""
    ends = np.array([window.place.position for window in windows], np.float64)
    lengths = np.array([window.place.length for window in windows], np.float64)
    starts = ends - lengths
    shared = np.minimum(ends[:, None], ends) - np.maximum(starts[:, None], starts)
    noise = np.maximum(0.0, shared) / np.sqrt(lengths[:, None] * lengths)
    whiten = np.linalg.inv(noise + OWN_NOISE * np.eye(len(windows)))
    moved = np.stack([window.embedding for window in windows]) - before  # (N, D)
    share = np.clip((ends - at[:, None]) / lengths, 0.0, 1.0)  # (C, N)
    weighted = share @ whiten
    power = np.square(weighted @ moved).sum(axis=1)
    return np.asarray(power / np.maximum((weighted * share).sum(axis=1), 1e-9), np.float64)


def _media(runs: Sequence[tuple[int, int]], position: int) -> int:
    """Media sample of a place in net speech; ``runs`` are those of :class:`WindowPlace`."""
    start, media = max((run for run in runs if run[0] <= position), default=runs[0])
    return media + position - start
