"""Fits alarms: what tells that another voice has begun, and how often it errs.

The weights are those of a logistic regression that tells spans of a voice going on from spans of
somebody who took over, by how they go with the voice before and with the voiceprint. How often the
log odds of a change, which :mod:`engine.decisions.change_filter` makes of them, or those against
who is matched, come to exceed a height where nobody takes over falls exponentially with the height:
fitted to the heights where alarms are frequent enough to count, the line tells the others.
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
from models.calibration.errors import CalibrationError

BUDGETS = (1.0, 5.0, 20.0, 60.0)  # false alarms an hour, for the record
FEWEST_ALARMS = 3  # at a height that the rate is fitted at
HIGHEST_RATE = 150.0  # an hour: beyond it alarms crowd and the line bends
HEIGHTS = np.arange(-4.0, 15.0, 0.1)
RIDGE = 1e-4  # penalty on the weights: keeps collinear terms from running off
LEAST_DECAY = 0.05
LEAST_HOURS = 1e-9  # of speech, so that nothing is divided by 0

Float64 = NDArray[np.float64]
Bools = NDArray[np.bool_]


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
    """What speaks against a match at each place of a stream, ``(N,)`` each.

    ``against`` are the log odds of a change or, where they are higher, those against the person
    claimed. ``after_s`` is when a place was known less the time of the takeover, ``accepted``
    whether the evidence is enough for a match to begin. Where nobody is claimed that is anywhere.
    """

    source: str
    against: Float64
    after_s: Float64
    accepted: Bools

    def followed(self, heights: Float64) -> tuple[Bools, Bools]:
        """``(N, H)``: where a match is given up at each of ``heights``, and whether one stood.

        As a live stream does: it gives a match up at the place whose odds exceed the height, and
        matches again where they do not and the evidence is enough.
        """
        above = self.against[:, None] > heights
        stood, matched = np.zeros_like(above), np.zeros(len(heights), bool)
        for row, (over, accepted) in enumerate(zip(above, self.accepted, strict=True)):
            stood[row] = matched
            matched = (matched | accepted) & ~over
        return stood & above, stood


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
    """The alarm with the rate at which these traces, made by its weights, exceed a height.

    Raises :class:`CalibrationError` where nobody was matched in any of them.
    """
    hours, counts = false_alarms(traces)
    if not hours.any():
        raise CalibrationError(
            f"in none of {len(traces)} streams the speaker was matched: hold out more speakers"
        )
    rates = counts / np.maximum(hours, LEAST_HOURS)
    usable = (counts >= FEWEST_ALARMS) & (rates <= HIGHEST_RATE)
    if np.count_nonzero(usable) < 3:  # hardly ever an alarm: as if just too few were seen
        return msgspec.structs.replace(
            alarm, log_rate=math.log(FEWEST_ALARMS / hours.max()), decay=1.0
        )
    fall, level = np.polyfit(HEIGHTS[usable], np.log(rates[usable]), 1, w=np.sqrt(counts[usable]))
    return msgspec.structs.replace(
        alarm, log_rate=float(level), decay=max(-float(fall), LEAST_DECAY)
    )


def false_alarms(traces: Sequence[Trace], heights: Float64 = HEIGHTS) -> tuple[Float64, Float64]:
    """Hours ``(H,)`` of speech before any takeover and since the first match, and alarms there."""
    seconds, counts = np.zeros(len(heights)), np.zeros(len(heights))
    for trace in traces:
        alarms, stood = trace.followed(heights)
        own = trace.after_s <= 0
        lasted_s = np.diff(trace.after_s, prepend=trace.after_s[:1])
        known = np.logical_or.accumulate(stood, axis=0)
        seconds += lasted_s[own] @ known[own]
        counts += alarms[own].sum(axis=0)
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
    found, early, hours = [], 0, 0.0
    for trace, alarm in zip(traces, alarms, strict=True):
        heights = np.array([alarm.height(per_hour)])
        (heard,), (counted,) = false_alarms([trace], heights)
        hours, early = hours + float(heard), early + int(counted)
        told, stood = (column[:, 0] for column in trace.followed(heights))
        after = trace.after_s > 0
        if not stood[after][:1].any():
            continue
        late = trace.after_s[after & told]
        found.append(float(late[0]) if len(late) else math.inf)
    middle, last = (np.percentile(found or [math.inf], q, method="higher") for q in (50, 95))
    return {
        "per_hour": per_hour,
        "streams": len(found),
        "delay_s_p50": float(middle) if math.isfinite(middle) else None,
        "delay_s_p95": float(last) if math.isfinite(last) else None,
        "missed": round(float(np.mean(np.isinf(found))), 3) if found else 0.0,
        "false_alarms": early,
        "hours": round(hours, 2),
    }
