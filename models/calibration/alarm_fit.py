"""Fits alarms: what tells that another voice has begun, and how often it errs.

The weights are those of a logistic regression that tells windows of a voice going on from
windows some seconds after somebody took over. How often the CUSUM of them exceeds a height where
nobody takes over falls exponentially with the height, as the maxima of a random walk with
negative drift do (Lorden, "Procedures for Reacting to a Change in Distribution", 1971): fitted
to the heights where alarms are frequent enough to count, the line tells the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from engine.decisions.change_detector import ChangeScores
from engine.model.manifest import AlarmFigures

AFTER_S = (2.0, 5.0)  # most of a window is the other voice's by then
BUDGETS = (1.0, 5.0, 20.0, 60.0)  # false alarms an hour, for the record
FEWEST_ALARMS = 3  # at a height that the rate is fitted at
HIGHEST_RATE = 150.0  # an hour: beyond it alarms crowd and the line bends
HEIGHTS = np.arange(0.0, 15.0, 0.1)
RIDGE = 1e-4  # penalty on the weights: keeps collinear terms from running off

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What the detector of changes measured on a stream, window by window.

    ``after_s`` ``(N,)`` is the end of each window less the time of the takeover, ``matched``
    ``(N,)`` whether the evidence was for the speaker by then.
    """

    source: str
    parts: tuple[ChangeScores, ...]
    after_s: Float64
    matched: NDArray[np.bool_]


def fit_alarm(traces: Sequence[Trace], terms: Sequence[str]) -> AlarmFigures:
    """An alarm that uses some of the terms, which are fields of :class:`ChangeScores`."""
    weights = _weights(traces, terms)
    bare = _alarm(weights, terms, 0.0, 1.0)
    hours, counts = false_alarms(traces, bare)
    rates = counts / hours
    usable = (counts >= FEWEST_ALARMS) & (rates <= HIGHEST_RATE) & (HEIGHTS > 0)
    if np.count_nonzero(usable) < 3:  # hardly ever an alarm: as if just too few were seen
        return _alarm(weights, terms, math.log(FEWEST_ALARMS / hours), 1.0)
    fall, level = np.polyfit(HEIGHTS[usable], np.log(rates[usable]), 1, w=np.sqrt(counts[usable]))
    return _alarm(weights, terms, float(level), max(-float(fall), 0.05))


def _alarm(weights: Float64, terms: Sequence[str], log_rate: float, decay: float) -> AlarmFigures:
    given = dict(zip(terms, (float(w) for w in weights), strict=False))
    return AlarmFigures(
        claim=given.get("claim", 0.0),
        voice=given.get("voice", 0.0),
        offset=float(weights[-1]),
        log_rate=log_rate,
        decay=decay,
    )


def _weights(traces: Sequence[Trace], terms: Sequence[str]) -> Float64:
    """Of the terms and, at the end, the offset. Sources weigh alike."""
    rows: list[list[float]] = []
    cells: list[tuple[str, bool]] = []
    for trace in traces:
        for parts, kind in zip(trace.parts, _kinds(trace), strict=True):
            if kind is not None:
                rows.append([*(getattr(parts, term) for term in terms), 1.0])
                cells.append((trace.source, kind))
    same = np.array([kind for _, kind in cells])
    _, cell = np.unique([repr(c) for c in cells], return_inverse=True)
    weight = 1 / np.bincount(cell)[cell]
    weight /= weight.sum()
    x, sign = np.array(rows), np.where(same, 1.0, -1.0)

    def cost(theta: Float64) -> tuple[float, Float64]:
        said = sign * (x @ theta)
        slope = -sign * weight * 0.5 * (1 - np.tanh(0.5 * said))
        loss = weight @ np.logaddexp(0.0, -said) + RIDGE * theta @ theta
        return float(loss), x.T @ slope + 2 * RIDGE * theta

    found = minimize(cost, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B")
    return np.asarray(found.x, np.float64)


def _kinds(trace: Trace) -> list[bool | None]:
    """Whether each window is of the voice going on, of another one, or of no use here."""
    known = bool(_own(trace).any())
    after = (trace.after_s >= AFTER_S[0]) & (trace.after_s <= AFTER_S[1]) & known
    return [
        True if own else False if other else None
        for own, other in zip(_own(trace), after, strict=True)
    ]


def _own(trace: Trace) -> NDArray[np.bool_]:
    return np.asarray((trace.after_s <= 0) & trace.matched, np.bool_)


def _steps(trace: Trace, alarm: AlarmFigures) -> Float64:
    """What each window adds to the CUSUM, be it negative."""
    return np.array([parts.step(alarm) for parts in trace.parts])


def false_alarms(traces: Sequence[Trace], alarm: AlarmFigures) -> tuple[float, Float64]:
    """Hours of matched speech before any takeover, and the alarms there at each of ``HEIGHTS``.

    After an alarm the CUSUM begins again, as it does in a stream.
    """
    seconds, counts = 0.0, np.zeros(len(HEIGHTS))
    for trace in traces:
        own = _own(trace)
        height = np.zeros(len(HEIGHTS))
        for step in _steps(trace, alarm)[own]:
            height = np.maximum(0.0, height + step)
            alarmed = height > HEIGHTS
            counts += alarmed
            height[alarmed] = 0.0
        seconds += float(np.diff(trace.after_s, prepend=trace.after_s[:1])[own].sum())
    return seconds / 3600, counts


def cross_fitted(
    traces: Sequence[Trace], terms: Sequence[str], fold: Sequence[int]
) -> list[AlarmFigures]:
    """For each trace the alarm fitted on those of other folds."""
    fitted = {
        one: fit_alarm([t for t, f in zip(traces, fold, strict=True) if f != one], terms)
        for one in sorted(set(fold))
    }
    return [fitted[one] for one in fold]


def delays(
    traces: Sequence[Trace], alarms: AlarmFigures | Sequence[AlarmFigures], per_hour: float
) -> dict[str, Any]:
    """Seconds from the takeover to the alarm, of streams that were matched until then.

    ``alarms`` is one for all or one for each.

    Streams that end without one count as later than any: ``p95`` is ``None`` where they are
    that many. ``early`` is the share with an alarm before, ``hours`` what that was seen in.
    """
    each = [alarms] * len(traces) if isinstance(alarms, AlarmFigures) else alarms
    found, early = [], 0
    hours, _ = false_alarms(traces, each[0])
    for trace, alarm in zip(traces, each, strict=True):
        if not _own(trace).any():
            continue
        height = alarm.height(per_hour)
        level, alarmed = 0.0, math.inf
        for step, after, own in zip(_steps(trace, alarm), trace.after_s, _own(trace), strict=True):
            level = max(0.0, level + step) if own or after > 0 else 0.0
            if level > height:
                early += after <= 0
                level = 0.0
                if after > 0:
                    alarmed = float(after)
                    break
        found.append(alarmed)
    middle, late = (np.percentile(found, q, method="higher") for q in (50, 95))
    return {
        "per_hour": per_hour,
        "streams": len(found),
        "delay_s_p50": float(middle) if math.isfinite(middle) else None,
        "delay_s_p95": float(late) if math.isfinite(late) else None,
        "missed": round(float(np.mean(np.isinf(found))), 3),
        "false_alarms": int(early),
        "hours": round(hours, 2),
    }
