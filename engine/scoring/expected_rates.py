"""What error rates a stream can expect by its enrolment, as its speech grows.

It was measured on held-out speakers what stated rates come to, at some durations and with
enrolments of their own. By the model of ``engine.scoring.scorer`` a trial depends on the speech of
both sides through ``g`` alone: with a longer enrolment the same is reached by less speech.
"""

from __future__ import annotations

from collections import defaultdict

import msgspec

from engine.model.manifest import Calibration

MEASURED = "stated_rates_cross_validated"  # in what was fitted


class ExpectedRate(msgspec.Struct, frozen=True, array_like=True):
    """After ``speech_s`` of clean speech, where ``false_accept`` is stated.

    ``accepted`` is the share of strangers who are, ``not_accepted`` that of the right speakers
    who are not.
    """

    speech_s: float
    false_accept: float
    accepted: float
    not_accepted: float


class _Measured(msgspec.Struct, frozen=True):
    """A row of calibration; before it said so its enrolments were worth 4.1 s."""

    condition: str
    test_s: float | str
    false_accept: float
    false_accepts: float
    undecided: float
    rejected: float
    enrol_s: float = 4.1


def expected_rates(calibration: Calibration, enrolled_s: float) -> tuple[ExpectedRate, ...]:
    """Rates by speech and stated false accepts, for an enrolment of so many net seconds.

    Sources count alike. Those measured with the figures that decide, where those were fitted to
    streams; else those of the calibration. Nothing, where neither measured them.
    """
    streams = {} if calibration.evidence is None else calibration.evidence.fitted
    measured = streams.get(MEASURED, calibration.fitted.get(MEASURED, []))
    try:
        rows = msgspec.convert(measured, list[_Measured])
    except msgspec.ValidationError:
        return ()
    cells: dict[tuple[float, float], list[_Measured]] = defaultdict(list)
    for row in rows:
        if row.condition == "clean" and not isinstance(row.test_s, str):
            cells[row.test_s, row.false_accept].append(row)
    found = []
    for (test_s, stated), alike in sorted(cells.items()):
        measured_s = (test_s, _mean([row.enrol_s for row in alike]))
        speech_s = _speech_s(calibration.half_speech_s, measured_s, enrolled_s)
        if speech_s is not None:
            found.append(
                ExpectedRate(
                    speech_s=round(speech_s, 2),
                    false_accept=stated,
                    accepted=round(_mean([r.false_accepts for r in alike]), 4),
                    not_accepted=round(_mean([r.undecided + r.rejected for r in alike]), 4),
                )
            )
    return tuple(found)


def _speech_s(half_s: float, measured_s: tuple[float, float], enrolled_s: float) -> float | None:
    """The speech with which an enrolment has the ``g`` of what was measured, if any has."""
    test_s, enrol_s = measured_s
    noise = (1 + half_s / test_s) * (1 + half_s / enrol_s) / (1 + half_s / enrolled_s)
    return half_s / (noise - 1) if noise > 1 else None


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
