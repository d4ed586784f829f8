"""How often decisions are wrong, as it was measured, with its meaning in a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.scoring.measured_rates import DecisionRates, MeasuredRates, TakeoverRates
from streamer.reports import words
from streamer.reports.claims import Bounds
from streamer.reports.report import Model, Session

CONFIDENCE = 0.95  # of the upper bound on false takeovers
STREAM_S, STRANGER_S = 25, 8  # of speech, as models.calibration.evidence_streams has them
CAUTION = (
    "Measured on speakers that the model had never heard, half of them with noise, rooms or"
    " telephone added; mostly one recording a speaker. On another day or microphone, in illness or"
    " under stress it errs more often."
)
NOT_JUDGED = "No stream was judged by a model."
NOT_MEASURED = "This model states no measured error rates: nothing is known of how often it errs."


def sentences(session: Session, speech_s: float | None = None) -> tuple[str, ...]:
    """What the measured rates of the session's model mean for a candidate like this one.

    ``speech_s`` is of all their sessions, where there were more.
    """
    bounds = session.claims[-1].bounds if session.claims else None
    return meaning(session.model, bounds, session.speech_s if speech_s is None else speech_s)


def evidence(bounds: Bounds | None) -> str | None:
    """What the evidence is, by the bounds that it is held to."""
    if bounds is None:
        return None
    match, mismatch = words.llr(bounds.accept_llr), words.llr(bounds.reject_llr)
    return (
        "Evidence is how much likelier what was heard is if the claimed person spoke than if"
        f" somebody else did, as a natural logarithm. {match} or more, {_times(bounds.accept_llr)}"
        f" times as likely, is a match; {mismatch} or less, {_times(-bounds.reject_llr)} times as"
        " likely if it was somebody else, a mismatch."
    )


def _times(llr: float) -> str:
    return f"{math.exp(llr):.2g}" if llr < math.log(10) else f"{math.exp(llr):,.0f}"


def meaning(
    model: Model | None, bounds: Bounds | None, speech_s: float, here: str = "as here"
) -> tuple[str, ...]:
    """What a model's measured rates mean for who speaks so long, which ``here`` says of whom."""
    measured = model.measured if model else MeasuredRates()
    if bounds is None or not (measured.decisions or measured.takeovers):
        return (NOT_MEASURED,)
    decisions = nearest(measured.decisions, bounds)
    takeovers = _at_most(measured.takeovers, bounds.false_alarms_per_hour)
    said = [*_of_decisions(decisions), *_of_takeovers(takeovers, speech_s, here)]
    return (*said, CAUTION) if said else (NOT_MEASURED,)


def nearest(rows: Sequence[DecisionRates], bounds: Bounds) -> list[DecisionRates]:
    """The rows, one a source, whose stated false accepts are nearest to those asked for."""
    if not rows:
        return []
    distance = {
        row.false_accept: abs(math.log(row.false_accept / bounds.false_accept)) for row in rows
    }
    chosen = min(distance, key=lambda rate: distance[rate])
    return [row for row in rows if row.false_accept == chosen]


def most_an_hour(row: TakeoverRates) -> float:
    """The rate of false takeovers an hour that may lie behind what was counted.

    Exact upper bound of a Poisson rate at ``CONFIDENCE``: with none in an hour it is 3.0.
    """
    low, high = 0.0, 10.0 + 4 * row.false_alarms
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (
            (middle, high) if _at_most_so_many(row, middle) > 1 - CONFIDENCE else (low, middle)
        )
    return high / row.hours


def _at_most_so_many(row: TakeoverRates, expected: float) -> float:
    """How likely it is to count no more, where so many are expected."""
    terms = (k * math.log(expected) - math.lgamma(k + 1) for k in range(row.false_alarms + 1))
    return sum(math.exp(term - expected) for term in terms) if expected > 0 else 1.0


def _at_most(rows: Sequence[TakeoverRates], per_hour: float | None) -> TakeoverRates | None:
    """The row of the greatest budget that is no more than the one set, or of the least."""
    ordered = sorted(rows, key=lambda row: row.per_hour)
    if per_hour is None or not ordered:
        return None
    fitting = [row for row in ordered if row.per_hour <= per_hour]
    return fitting[-1] if fitting else ordered[0]


def _of_decisions(rows: Sequence[DecisionRates]) -> list[str]:
    if not rows:
        return []
    flagged = _range([row.false_rejects for row in rows])
    undecided = _range([1 - row.accepted - row.false_rejects for row in rows])
    strangers = _range([row.false_accepts for row in rows])
    stated = f"asked for were {words.percent(rows[0].false_accept)} false matches"
    return [
        f"Of 100 honest candidates {flagged} were flagged by the first decision although nobody"
        f" else spoke, and {undecided} stayed undecided for all of up to {STREAM_S} s of speech.",
        f"Of 100 strangers who spoke from the start {strangers} were matched ({stated}).",
    ]


def _of_takeovers(row: TakeoverRates | None, speech_s: float, here: str) -> list[str]:
    if row is None or row.hours <= 0 or speech_s <= 0:
        return []
    hours = speech_s / 3600
    alarms = words.counted(row.false_alarms, "false takeover")
    likely = 100 * (1 - math.exp(-row.false_alarms / row.hours * hours))
    at_most = 100 * (1 - math.exp(-most_an_hour(row) * hours))
    half = f" half were told within {row.delay_s_p50:.1f} s of speech;" if row.delay_s_p50 else ""
    return [
        f"In {row.hours:.2f} hours of honest speech {alarms} came: of 100 honest candidates who"
        f" speak for {words.duration(speech_s)}, {here}, {_count(likely)} would be flagged by a"
        f" takeover that was none, and by so short a measurement up to {_count(at_most)}"
        f" ({CONFIDENCE:.0%} confidence).",
        f"Of 100 takeovers{half} {_count(100 * row.missed)} were not told within the {STRANGER_S} s"
        f" that the other one spoke ({row.streams} streams).",
    ]


def _range(shares: Sequence[float]) -> str:
    least, most = _count(100 * min(shares)), _count(100 * max(shares))
    return least if least == most else f"{least} to {most}"


def _count(of_100: float) -> str:
    """ "15", "2.0", "0.1", "0": never none where it is only seldom."""
    if of_100 <= 0:
        return "0"
    return f"{of_100:.0f}" if of_100 >= 9.95 else f"{max(of_100, 0.1):.1f}"
