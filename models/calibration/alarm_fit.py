"""Fits alarms: what tells that another voice has begun, and how often it errs.

The weights are those of a logistic regression that tells spans of a voice going on from spans of
somebody who took over, by how they go with the voice before and with the voiceprint. How often the
log odds of a change, which :mod:`engine.decisions.change_filter` makes of them, exceed a height
where nobody takes over falls exponentially with the height: fitted to the heights where alarms
are frequent enough to count, the line tells the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from engine.model.manifest import AlarmFigures

BUDGETS = (1.0, 5.0, 20.0, 60.0)  # false alarms an hour, for the record
FEWEST_ALARMS = 3  # at a height that the rate is fitted at
HIGHEST_RATE = 150.0  # an hour: beyond it alarms crowd and the line bends
HEIGHTS = np.arange(-4.0, 15.0, 0.1)
RIDGE = 1e-4  # penalty on the weights: keeps collinear terms from running off
LEAST_DECAY = 0.05

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Continuation:
    """A span of speech after other speech, and whether the voice goes on in it.

    ``claim`` is its LLR against the voiceprint of who spoke before, ``voice`` that against the
    speech before it, ``gain`` what the speech of both is worth. Spans of one ``cell`` weigh as much
    as those of any other.
    """

    claim: float
    voice: float
    gain: float
    same: bool
    cell: str


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """The log odds ``(N,)`` of a change at each place of a stream.

    ``after_s`` ``(N,)`` is when a place was known less the time of the takeover, ``matched``
    ``(N,)`` whether the evidence was for the speaker by then.
    """

    source: str
    log_odds: Float64
    after_s: Float64
    matched: NDArray[np.bool_]


def fit_weights(spans: Sequence[Continuation], terms: Sequence[str]) -> AlarmFigures:
    """An alarm by some of ``claim`` and ``voice``, whose rate is not known yet."""
    gain = np.array([span.gain for span in spans])[:, None]
    said = np.array([[*(getattr(span, term) for term in terms), 1.0] for span in spans])
    rows = np.concatenate([gain * said, np.ones_like(gain)], axis=1)
    same = np.array([span.same for span in spans])
    _, cell = np.unique([f"{span.cell} {span.same}" for span in spans], return_inverse=True)
    weight = 1 / np.bincount(cell)[cell]
    for kind in (same, ~same):
        weight[kind] /= weight[kind].sum()
    sign = np.where(same, 1.0, -1.0)

    def cost(theta: Float64) -> tuple[float, Float64]:
        right = sign * (rows @ theta)
        slope = -sign * weight * 0.5 * (1 - np.tanh(0.5 * right))
        loss = weight @ np.logaddexp(0.0, -right) + RIDGE * theta @ theta
        return float(loss), rows.T @ slope + 2 * RIDGE * theta

    found = minimize(cost, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B").x
    given = dict(zip(terms, (float(w) for w in found), strict=False))
    return AlarmFigures(
        claim=given.get("claim", 0.0),
        voice=given.get("voice", 0.0),
        speech=float(found[-2]),
        offset=float(found[-1]),
        log_rate=0.0,
        decay=1.0,
    )


def fit_rate(alarm: AlarmFigures, traces: Sequence[Trace]) -> AlarmFigures:
    """The alarm with the rate at which these traces, made by its weights, exceed a height."""
    hours, counts = false_alarms(traces)
    rates = counts / hours
    usable = (counts >= FEWEST_ALARMS) & (rates <= HIGHEST_RATE)
    if np.count_nonzero(usable) < 3:  # hardly ever an alarm: as if just too few were seen
        return msgspec.structs.replace(alarm, log_rate=math.log(FEWEST_ALARMS / hours), decay=1.0)
    fall, level = np.polyfit(HEIGHTS[usable], np.log(rates[usable]), 1, w=np.sqrt(counts[usable]))
    return msgspec.structs.replace(
        alarm, log_rate=float(level), decay=max(-float(fall), LEAST_DECAY)
    )


def _own(trace: Trace) -> NDArray[np.bool_]:
    return np.asarray((trace.after_s <= 0) & trace.matched, np.bool_)


def false_alarms(traces: Sequence[Trace]) -> tuple[float, Float64]:
    """Hours of matched speech before any takeover, and the alarms there at each of ``HEIGHTS``.

    An alarm is a place where the log odds come to exceed the height: it lasts until they do not.
    """
    seconds, counts = 0.0, np.zeros(len(HEIGHTS))
    for trace in traces:
        own = _own(trace)
        above = trace.log_odds[own][:, None] > HEIGHTS
        began = above & ~np.concatenate([np.zeros_like(above[:1]), above[:-1]])
        counts += began.sum(axis=0)
        seconds += float(np.diff(trace.after_s, prepend=trace.after_s[:1])[own].sum())
    return seconds / 3600, counts


def cross_fitted(
    alarm: AlarmFigures, traces: Sequence[Trace], fold: Sequence[int]
) -> list[AlarmFigures]:
    """For each trace the alarm with the rate of those of other folds."""
    fitted = {
        one: fit_rate(alarm, [t for t, f in zip(traces, fold, strict=True) if f != one])
        for one in sorted(set(fold))
    }
    return [fitted[one] for one in fold]


def delays(
    traces: Sequence[Trace], alarms: Sequence[AlarmFigures], per_hour: float
) -> dict[str, Any]:
    """Seconds from the takeover to the alarm, of streams that were matched until then.

    Streams that end without one count as later than any: ``p95`` is ``None`` where they are
    that many. ``false_alarms`` are those before, in ``hours`` of matched speech.
    """
    found, early, seconds = [], 0, 0.0
    for trace, alarm in zip(traces, alarms, strict=True):
        own, height = _own(trace), alarm.height(per_hour)
        if not own.any():
            continue
        seconds += float(np.diff(trace.after_s, prepend=trace.after_s[:1])[own].sum())
        above = trace.log_odds[own] > height
        early += int(above[0]) + int(np.count_nonzero(above[1:] & ~above[:-1]))
        late = trace.after_s[(trace.after_s > 0) & (trace.log_odds > height)]
        found.append(float(late[0]) if len(late) else math.inf)
    middle, last = (np.percentile(found, q, method="higher") for q in (50, 95))
    return {
        "per_hour": per_hour,
        "streams": len(found),
        "delay_s_p50": float(middle) if math.isfinite(middle) else None,
        "delay_s_p95": float(last) if math.isfinite(last) else None,
        "missed": round(float(np.mean(np.isinf(found))), 3),
        "false_alarms": early,
        "hours": round(seconds / 3600, 2),
    }
