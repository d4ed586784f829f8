"""How often decisions over a stream were wrong when the bundle's figures were fitted.

Calibration tries its fit on streams of speakers that it left out, and keeps the outcome in the
manifest. This is that outcome, for records and reports: what was measured, not what was asked for.
"""

from __future__ import annotations

import msgspec

from engine.model.manifest import Calibration


class DecisionRates(msgspec.Struct, frozen=True, kw_only=True):
    """First decisions on whole streams, for the stated ``false_accept`` and ``miss``.

    ``false_accepts`` is the share of strangers whose first decision is a match, ``false_rejects``
    that of right speakers whose first decision is a mismatch, ``accepted`` that of right speakers
    who are matched. The rest of either stays undecided until the stream ends.
    """

    source: str
    false_accept: float
    miss: float
    false_accepts: float
    false_rejects: float
    accepted: float


class TakeoverRates(msgspec.Struct, frozen=True, kw_only=True):
    """Takeovers with the setting ``false_alarms_per_hour`` at ``per_hour``.

    ``false_alarms`` were told in ``hours`` of speech of a matched speaker who went on. Of
    ``streams`` in which somebody took over, the share ``missed`` ended before it was told; half
    were told within ``delay_s_p50`` seconds of speech, None where fewer than half were told.
    """

    per_hour: float
    streams: int
    delay_s_p50: float | None
    missed: float
    false_alarms: int
    hours: float


class MeasuredRates(msgspec.Struct, frozen=True, kw_only=True):
    """All rows; none where the bundle's figures were fitted without keeping them."""

    decisions: tuple[DecisionRates, ...] = ()
    takeovers: tuple[TakeoverRates, ...] = ()


def measured_rates(calibration: Calibration) -> MeasuredRates:
    """What the bundle keeps of it; rows that cannot be read count as not measured."""
    fitted = calibration.evidence.fitted if calibration.evidence else {}
    rows = {
        "decisions": fitted.get("decisions_cross_validated", []),
        "takeovers": fitted.get("takeover_cross_validated", []),
    }
    try:
        return msgspec.convert(rows, MeasuredRates)
    except msgspec.ValidationError:
        return MeasuredRates()
