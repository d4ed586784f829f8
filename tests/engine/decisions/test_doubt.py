"""Why nothing is decided: each cause by figures that mean it, with its numbers in words."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from fake_scorers import fake_scorer

from engine.audio.quality import QualityFigures
from engine.decisions.config import DecisionConfig
from engine.decisions.doubt import OpenTrial, _without_noise, too_little, why_open
from engine.events import Cause, Problem
from engine.model.manifest import Calibration, DecisionFigures, MagnitudeFigures
from engine.scoring.scorer import CalibratedScorer
from engine.scoring.worth import CLEAN_DB, worth_s

# Two normal distributions with the means 8 g and 0 and deviations of 1.
SCORER = fake_scorer(8, Calibration(half_speech_s=4.0, slope=(0.01, 8.0), offset=(0.0, 0.0, -32.0)))
CONFIG, FIGURES = DecisionConfig(), DecisionFigures()


def trial(norm: float, speech_s: float, enrolled_s: float) -> OpenTrial:
    now = SCORER.foreseen(norm, norm, (enrolled_s, speech_s), (enrolled_s, speech_s))
    return OpenTrial(float(now), norm, norm, speech_s, enrolled_s)


def cause_of(asked: OpenTrial) -> Cause:
    return why_open(SCORER, FIGURES, CONFIG, asked).cause


def test_little_speech_that_goes_the_right_way_wants_more_of_it() -> None:
    asked = trial(norm=2.6, speech_s=2.0, enrolled_s=20.0)
    assert CONFIG.reject_llr < asked.evidence < CONFIG.accept_llr
    doubt = why_open(SCORER, FIGURES, CONFIG, asked)
    assert doubt.cause == "more-speech"
    assert doubt.advice == "2.0 s of speech so far: more speech will tell"
    assert doubt.attainable_llr is not None
    assert doubt.attainable_llr > CONFIG.accept_llr
    turn = why_open(SCORER, FIGURES, CONFIG, replace(asked, turn=True))
    assert turn.advice.endswith("a longer turn would tell")


def test_a_short_enrolment_is_named_where_a_full_one_would_do() -> None:
    asked = trial(norm=3.4, speech_s=40.0, enrolled_s=5.0)
    doubt = why_open(SCORER, FIGURES, CONFIG, asked)
    assert (doubt.cause, doubt.enrolled_s) == ("short-enrolment", 5.0)
    assert doubt.advice == "the enrolment has 5 s: enrol more"
    assert cause_of(trial(norm=3.4, speech_s=40.0, enrolled_s=20.0)) != "short-enrolment"


def test_a_voice_near_the_bound_is_told_its_ratio_and_the_one_it_needs() -> None:
    asked = trial(norm=4.1, speech_s=60.0, enrolled_s=30.0)
    doubt = why_open(SCORER, FIGURES, CONFIG, asked)
    assert doubt.cause == "near-bound"
    assert f"evidence {asked.evidence:+.1f}, needs +4.6" in doubt.advice


def test_where_more_of_the_same_cannot_decide_that_is_said() -> None:
    asked = trial(norm=3.7, speech_s=60.0, enrolled_s=30.0)
    doubt = why_open(SCORER, FIGURES, CONFIG, asked)
    assert doubt.cause == "saturated"
    assert doubt.advice.startswith("more speech of this kind cannot decide: evidence ")
    assert doubt.attainable_llr == pytest.approx(asked.evidence, abs=0.01)


def test_of_little_speech_it_is_not_said_that_more_would_not_tell() -> None:
    """What a word or two say of a minute of the voice is what was said in them."""
    foreseen = []
    for norm in np.arange(1.0, 6.0, 0.1):
        for speech_s in (0.5, 1.0, 2.0, 3.9):
            asked = trial(norm, speech_s, enrolled_s=30.0)
            if not CONFIG.reject_llr < asked.evidence < CONFIG.accept_llr:
                continue
            doubt = why_open(SCORER, FIGURES, CONFIG, replace(asked, turn=True))
            assert doubt.cause == "more-speech"
            most = doubt.attainable_llr
            assert most is not None
            foreseen.append(CONFIG.reject_llr < most < CONFIG.accept_llr)
            assert doubt.advice.endswith("a longer turn may tell") == foreseen[-1]
            assert doubt.advice.endswith("a longer turn would tell") != foreseen[-1]
    assert True in foreseen
    assert False in foreseen


@pytest.mark.parametrize(
    ("snr_db", "cause"), [(20.0, "saturated"), (15.0, "saturated"), (-10.0, "noisy")]
)
def test_noise_is_named_where_clean_speech_would_do(snr_db: float, cause: Cause) -> None:
    """Enrolling more does not help whom the noise alone keeps between the bounds."""
    heard = np.array([snr_db, 20.0, math.nan], np.float32)
    calibration = msgspec.structs.replace(SCORER.calibration, acoustics=(1.0, 0.1))
    scorer = fake_scorer(8, calibration)
    worth = float(worth_s(calibration, 30.0, heard))
    norm = 3.7 if cause == "saturated" else 3.0
    now = float(scorer.foreseen(norm, norm, (30.0, worth), (30.0, worth)))
    assert CONFIG.reject_llr < now < CONFIG.accept_llr
    asked = OpenTrial(now, norm, norm, 30.0, 30.0, heard=heard)
    doubt = why_open(scorer, FIGURES, CONFIG, asked)
    assert doubt.cause == cause
    if cause == "noisy":
        assert doubt.advice == "more speech in this noise cannot decide: go somewhere quieter"
    # Of a few words nothing is foreseen, in noise or not.
    short = replace(asked, speech_s=2.0)
    assert why_open(scorer, FIGURES, CONFIG, short).cause != "noisy"


def heard(snr_db: float, c50_db: float, norm: float) -> tuple[CalibratedScorer, OpenTrial]:
    """Half a minute of speech that was heard so, which leaves it open who it is."""
    calibration = msgspec.structs.replace(SCORER.calibration, acoustics=(1.0, 1.0))
    scorer, how = fake_scorer(8, calibration), np.array([snr_db, c50_db, math.nan], np.float32)
    worth = float(worth_s(calibration, 30.0, how))
    now = float(scorer.foreseen(norm, norm, (30.0, worth), (30.0, worth)))
    assert CONFIG.reject_llr < now < CONFIG.accept_llr
    return scorer, OpenTrial(now, norm, norm, 30.0, 30.0, heard=how)


@pytest.mark.parametrize(
    ("snr_db", "c50_db", "cause"),
    [
        (-10.0, 20.0, "noisy"),
        (-10.0, math.nan, "noisy"),
        (20.0, -10.0, "saturated"),  # The room alone keeps it open,
        (15.0, -10.0, "saturated"),  # and would do so without the noise.
        (math.nan, -10.0, "saturated"),
    ],
)
def test_nobody_is_sent_somewhere_quieter_for_the_room(
    snr_db: float, c50_db: float, cause: Cause
) -> None:
    scorer, asked = heard(snr_db, c50_db, norm=2.5)
    assert why_open(scorer, FIGURES, CONFIG, asked).cause == cause


SURE = msgspec.structs.replace(
    SCORER.calibration,
    acoustics=(0.0, 0.0),
    magnitude=MagnitudeFigures(usual=2.5, slope=-0.1, weight=5.0),
)


@pytest.mark.parametrize("beyond", [-0.2, 0.2])
def test_much_more_speech_is_foreseen_to_be_as_unusual_as_it_is(beyond: float) -> None:
    """Not to have the magnitude of little speech, which would be unusual for much of it."""
    scorer = fake_scorer(8, SURE)
    how = np.array([20.0, 20.0, 2.5 - 0.1 * math.log(3.0) + beyond], np.float32)
    now = float(scorer.foreseen(1.9, 1.9, (30.0, 3.0), (30.0, 3.0 * math.exp(5 * beyond))))
    asked = OpenTrial(now, 1.9, 1.9, 3.0, 30.0, heard=how)
    most = why_open(scorer, FIGURES, CONFIG, asked).attainable_llr
    worth = 3.0 * math.exp(5 * beyond), 60.0 * math.exp(5 * beyond)
    expected = scorer.foreseen(1.9, 1.9, (30.0, worth[0]), (30.0, worth[1]))
    assert most == pytest.approx(float(expected), abs=0.01)


@pytest.mark.parametrize(("snr_db", "quiet"), [(20.0, False), (10.0, False), (5.0, True)])
def test_what_much_noise_took_from_a_magnitude_would_come_back_in_quiet(
    snr_db: float, quiet: bool
) -> None:
    """What is unusual without noise is the voice's own and stays."""
    how = np.array([snr_db, 15.0, 2.0], np.float32)
    found = _without_noise(how)
    assert found is not None
    assert found[:2].tolist() == [CLEAN_DB, 15.0]
    assert np.isnan(found[2]) == quiet
    assert quiet or found[2] == how[2]


def test_noise_is_named_where_quiet_would_decide_against_the_person_too() -> None:
    scorer, asked = heard(-10.0, 20.0, norm=1.6)
    worth = float(worth_s(scorer.calibration, 30.0, asked.heard))
    quiet = scorer.foreseen(asked.norm, asked.norm, (30.0, worth), (30.0, 60.0))
    assert quiet < CONFIG.reject_llr
    assert why_open(scorer, FIGURES, CONFIG, asked).cause == "noisy"


def test_more_speech_is_never_promised_where_it_would_change_nothing() -> None:
    """At a minute of speech what is foreseen is what is there."""
    for norm in (3.4, 3.7, 4.0, 4.2):
        asked = trial(norm, speech_s=60.0, enrolled_s=25.0)
        assert CONFIG.reject_llr < asked.evidence < CONFIG.accept_llr
        assert cause_of(asked) in ("near-bound", "saturated")


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ("noisy", "the sound is noisy (6 dB above the noise): go somewhere quieter"),
        ("clipped", "the sound is clipped (2.0 % of it): move back or lower the input level"),
        ("quiet", "the sound is quiet (-50 dBFS): speak up or move closer to the microphone"),
    ],
)
def test_poor_sound_is_named_first(problem: Problem, words: str) -> None:
    sound = QualityFigures(-50.0, 0.02, 6.0, 1.0, (problem,))
    asked = replace(trial(2.6, 2.0, 20.0), sound=sound, alike="anna and bert", change=True)
    doubt = why_open(SCORER, FIGURES, CONFIG, asked)
    assert (doubt.cause, doubt.advice) == (problem, words)


def test_voices_alike_and_another_voice_come_before_figures_of_speech() -> None:
    asked = replace(trial(2.6, 2.0, 20.0), change=True)
    assert cause_of(asked) == "another-voice"
    both = why_open(SCORER, FIGURES, CONFIG, replace(asked, alike="anna and bert"))
    assert both.cause == "like-voices"
    assert both.advice.startswith("anna and bert have like voices")


def test_too_little_speech_says_how_much_is_needed() -> None:
    doubt = too_little(0.24, 0.4)
    assert (doubt.cause, doubt.enrolled_s) == ("little-speech", None)
    assert "0.2 s of speech, 0.4 s are needed" in doubt.advice
