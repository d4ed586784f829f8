"""The error rates that a bundle was measured to have, as records and reports tell them."""

from __future__ import annotations

from engine.model.bundle import load_bundle
from engine.model.manifest import Calibration, DecisionFigures
from engine.scoring.measured_rates import MeasuredRates, measured_rates


def calibration(fitted: dict[str, object]) -> Calibration:
    return Calibration(
        half_speech_s=4.0,
        slope=(1.0, 0.0),
        offset=(0.0, 0.0, 0.0),
        evidence=DecisionFigures(fitted=fitted),
    )


def test_the_built_in_bundle_says_how_often_it_was_wrong() -> None:
    manifest = load_bundle().manifest
    assert manifest.calibration is not None
    found = measured_rates(manifest.calibration)
    assert {row.false_accept for row in found.decisions} == {0.05, 0.01, 0.002}
    assert all(0 <= row.false_rejects < row.accepted <= 1 for row in found.decisions)
    strict, *_, loose = found.takeovers
    assert strict.per_hour < loose.per_hour
    assert strict.missed > loose.missed
    assert strict.false_alarms <= loose.false_alarms


def test_what_was_not_measured_or_cannot_be_read_is_no_rate() -> None:
    bare = Calibration(half_speech_s=4.0, slope=(1.0, 0.0), offset=(0.0, 0.0, 0.0))
    assert measured_rates(bare) == MeasuredRates()
    assert measured_rates(calibration({})) == MeasuredRates()
    unreadable = calibration({"takeover_cross_validated": [{"per_hour": "often"}]})
    assert measured_rates(unreadable) == MeasuredRates()
