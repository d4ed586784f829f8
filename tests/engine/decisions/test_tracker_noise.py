"""In noise speech counts for the clean speech it is worth, wherever it is held against people."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fake_scorers import fake_scorer
from fake_speech import FakeSpeech, Said
from tracked_talk import AXES, SIZE, of, told

from engine.decisions.belief import Hypothesis
from engine.decisions.change_filter import ChangeFilter
from engine.decisions.config import DecisionConfig
from engine.decisions.tracker import Tracker
from engine.decisions.tracker_settings import TrackerSettings
from engine.events import AnyEvent, Change, Decision, Score, Utterance
from engine.format import SAMPLE_RATE_HZ, unit
from engine.model.manifest import Calibration, DecisionFigures, MagnitudeFigures
from engine.scoring.identify import EnrolledVoiceprints
from engine.scoring.worth import UNKNOWN, worth_s

S = SAMPLE_RATE_HZ
CALIBRATION = Calibration(
    half_speech_s=1.0,
    slope=(0.01, 24.0),
    offset=(0.0, 0.0, -16.0),
    acoustics=(6.0, 1.0),
    magnitude=MagnitudeFigures(usual=2.5, slope=-0.1, weight=5.0),
)
SCORER = fake_scorer(SIZE, CALIBRATION)
ANNA = EnrolledVoiceprints({"anna": SCORER.prepare(AXES[:1], 10.0)})
ASKED = TrackerSettings(ANNA, True, DecisionConfig())
# SNR and C50 in dB, and the logarithm of a magnitude.
NOISE = (0.0, 10.0, math.nan)
UNSURE = (30.0, 30.0, 2.1)

# Her voice as it is missed in noise, and a stranger's.
MISSED = unit(0.3 * AXES[0] + np.float32(0.954) * AXES[5])
VOICES = np.stack([AXES[0], MISSED, AXES[3]])


def heard(how: tuple[float, ...], *said: Said, asked: TrackerSettings = ASKED) -> list[AnyEvent]:
    speech = FakeSpeech(VOICES, *said)
    speech.how = how
    return told(Tracker(SCORER, 0.5), speech, asked)


@pytest.mark.parametrize(
    "how",
    [
        *[UNKNOWN, NOISE, UNSURE, (30.0, 30.0, 2.5)],
        *[(30.0, 30.0, math.nan), (12.0, 30.0, math.nan), (30.0, 4.0, 2.4)],
    ],
)
def test_turns_and_scores_are_of_what_their_speech_is_worth(how: tuple[float, ...]) -> None:
    events = heard(how, Said(1, 4.0))
    (verdict,) = of(Utterance, events)
    assert verdict.speech_s == 4.0  # as much as was said, whatever it is worth
    for said in (verdict, *of(Score, events)):
        speech_s = said.speech_s if isinstance(said, Utterance) else said.window_s
        score = SCORER.score(AXES[0], 10.0, MISSED, worth_s(CALIBRATION, speech_s, how).item())
        assert said.llr == pytest.approx(score.llr, abs=1e-5)


def test_a_voice_that_noise_moved_is_open_and_not_denied() -> None:
    """The change filter follows it as well: the state is the turn's."""
    for how, state in ((UNKNOWN, "mismatch"), (NOISE, "uncertain")):
        events = heard(how, Said(1, 4.0))
        assert [one.state for one in of(Utterance, events)] == [state]
        assert of(Decision, events)[-1].state == state


def test_much_more_speech_in_noise_is_foreseen_to_be_worth_no_more_than_noise_lets_it() -> None:
    events, later_s = heard(NOISE, Said(1, 4.0)), worth_s(CALIBRATION, 60.0, NOISE).item()
    (verdict,), last = of(Utterance, events), of(Decision, events)[-1]
    for told_llr, speech_s in (
        (verdict.attainable_llr, verdict.speech_s),
        (last.attainable_llr, last.net_speech_s),
    ):
        assert told_llr == pytest.approx(attainable(speech_s, later_s), abs=0.01)
        assert abs(attainable(speech_s, 60.0) - told_llr) > 1.0


def attainable(speech_s: float, later_s: float) -> float:
    """What so much of her voice in noise gives later, when it is worth so much."""
    now = worth_s(CALIBRATION, speech_s, NOISE).item()
    score = SCORER.score(AXES[0], 10.0, MISSED, now)
    return float(SCORER.foreseen(score.norm, score.cosine, (10.0, now), (10.0, later_s)))


@pytest.mark.parametrize("how", [NOISE, UNSURE])
def test_voices_of_one_stream_share_their_noise_and_are_told_apart_as_without(
    how: tuple[float, ...],
) -> None:
    said = [Said(0, 6.0), Said(2, 6.0), Said(0, 4.0, 1.0)]
    nobody = TrackerSettings(EnrolledVoiceprints({}), False, DecisionConfig())
    clean, unclean = (heard(one, *said, asked=nobody) for one in (UNKNOWN, how))
    assert len(of(Change, clean)) == 2
    assert of(Change, unclean) == of(Change, clean)
    assert [one.voice for one in of(Utterance, unclean)] == [
        one.voice for one in of(Utterance, clean)
    ]


def test_how_a_voice_was_heard_is_kept_when_one_in_the_background_is_left_out() -> None:
    speech, followed = FakeSpeech(VOICES, Said(0, 5.0)), ChangeFilter(SCORER, DecisionFigures())
    speech.how = NOISE
    before = followed.voice(speech, 0, 3 * S)
    far = Hypothesis(3 * S, 0.0, before, np.ones(1), 0, -40.0)
    followed.leave_out(speech, far, 3 * S, 5 * S)
    speech.how = (20.0, 20.0, math.nan)
    np.testing.assert_allclose(followed.heard(speech, (0, 5 * S)), NOISE)
    scores = followed.scores(speech, (0, 5 * S), ANNA)
    assert followed.voice(speech, 0, 5 * S).speech_s == 3.0
    worth = worth_s(CALIBRATION, 3.0, NOISE).item()
    assert scores is not None
    expected = SCORER.score(AXES[0], 10.0, AXES[0], worth).llr
    assert scores.llr.item() == pytest.approx(expected, abs=1e-5)
