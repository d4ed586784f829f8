"""Rates to be expected: those that were measured, where this enrolment is worth as much."""

from __future__ import annotations

import msgspec
import pytest

from engine.model.bundle import load_bundle
from engine.model.manifest import Calibration, DecisionFigures
from engine.scoring.expected_rates import MEASURED, ExpectedRate, expected_rates
from engine.scoring.scorer import speech_gain

HALF_S = 4.0


def row(source: str, test_s: float | str, undecided: float, **other: object) -> dict[str, object]:
    fields = {
        "source": source,
        "condition": "clean",
        "test_s": test_s,
        "enrol_s": 4.0,
        "false_accept": 0.01,
        "miss": 0.05,
        "false_accepts": 0.02,
        "undecided": undecided,
        "rejected": 0.01,
    }
    return fields | other


def measured(*rows: dict[str, object]) -> Calibration:
    return Calibration(
        half_speech_s=HALF_S, slope=(1.0, 0.0), offset=(0.0, 0.0, 0.0), fitted={MEASURED: rows}
    )


def test_with_the_enrolment_that_was_measured_they_are_what_was_measured() -> None:
    found = expected_rates(
        measured(row("a", 2.0, 0.2), row("b", 2.0, 0.1), row("a", 8.0, 0.1)), 4.0
    )
    assert found == (
        ExpectedRate(2.0, 0.01, 0.02, pytest.approx(0.16)),
        ExpectedRate(8.0, 0.01, 0.02, pytest.approx(0.11)),
    )


@pytest.mark.parametrize("enrolled_s", [3.0, 10.0, 60.0])
def test_another_enrolment_has_them_where_its_gain_is_the_same(enrolled_s: float) -> None:
    (found,) = expected_rates(measured(row("a", 2.0, 0.2)), enrolled_s)
    gain = speech_gain(HALF_S, enrolled_s, found.speech_s)
    assert gain == pytest.approx(speech_gain(HALF_S, 4.0, 2.0), abs=1e-3)
    assert (found.speech_s < 2.0) == (enrolled_s > 4.0)


def test_what_no_speech_reaches_with_a_short_enrolment_is_left_out() -> None:
    assert expected_rates(measured(row("a", 10.0, 0.2)), 1.0) == ()


def test_sound_of_other_kinds_is_left_out() -> None:
    others = row("a", "utterance", 0.3), row("a", 2.0, 0.4, condition="degraded")
    assert expected_rates(measured(*others), 4.0) == ()


def test_a_bundle_that_was_not_measured_has_none() -> None:
    assert expected_rates(measured(), 20.0) == ()
    assert expected_rates(measured({"source": "a"}), 20.0) == ()


def test_rates_of_the_figures_that_decide_come_before_those_of_the_calibration() -> None:
    calibration = measured(row("a", 2.0, 0.2))
    fitted = {MEASURED: [row("a", 3.0, 0.1)]}
    for figures, speech_s in ((DecisionFigures(), 2.0), (DecisionFigures(fitted=fitted), 3.0)):
        (found,) = expected_rates(msgspec.structs.replace(calibration, evidence=figures), 4.0)
        assert found.speech_s == speech_s


def test_the_built_in_bundle_has_rates_and_they_travel_as_rows() -> None:
    calibration = load_bundle(None).manifest.calibration
    assert calibration is not None
    found = expected_rates(calibration, 20.0)
    assert {rate.false_accept for rate in found} >= {0.01, 0.05}
    least, *_, most = (rate for rate in found if rate.false_accept == 0.01)
    assert least.not_accepted > most.not_accepted
    assert len(msgspec.json.decode(msgspec.json.encode(found))[0]) == 4
