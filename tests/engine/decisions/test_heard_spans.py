"""Spans that are asked for together are what each is alone, but for rounding."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from fake_scorers import fake_scorer
from fake_speech import FakeSpeech, Said

from engine.decisions.heard_spans import HeardSpans, NearVoice
from engine.format import SAMPLE_RATE_HZ, unit
from engine.model.manifest import Calibration, MagnitudeFigures
from engine.scoring.identify import EnrolledVoiceprints
from engine.scoring.worth import unusual, worth_s

SIZE = 12
RNG = np.random.default_rng(4)
COHORT = unit(RNG.standard_normal((40, SIZE)).astype(np.float32))
VOICES = unit(RNG.standard_normal((3, SIZE)).astype(np.float32))
SCORER = fake_scorer(
    SIZE, Calibration(half_speech_s=1.0, slope=(1.0, 0.5), offset=(-2.0, -1.0, 0.0)), cohort=COHORT
)
PEOPLE = EnrolledVoiceprints({"anna": SCORER.prepare(VOICES[:2], [10.0, 20.0])})
SPEECH = FakeSpeech(VOICES, Said(0, 4.0), Said(2, 3.0))
ASKED = [(0, 3), (1, 4), (3, 7), (0, 7)]
PLACES = [(a * SAMPLE_RATE_HZ, b * SAMPLE_RATE_HZ) for a, b in ASKED]


@pytest.mark.parametrize("place", PLACES)
def test_a_span_among_others_is_what_it_is_alone(place: tuple[int, int]) -> None:
    together = HeardSpans(SCORER, SPEECH, PEOPLE, PLACES)
    prepared, scores = together.voice(place), together.scores_of(place)
    alone = SCORER.prepare(SPEECH.heard([place])[0], (place[1] - place[0]) / SAMPLE_RATE_HZ)
    np.testing.assert_array_equal(prepared.embeddings, alone.embeddings)
    assert prepared.speech_s == alone.speech_s
    assert scores is not None
    assert PEOPLE.prepared is not None
    assert scores.llr == pytest.approx(SCORER.table(PEOPLE.prepared, alone).llr, abs=1e-5)


def test_only_what_was_asked_is_there() -> None:
    together = HeardSpans(SCORER, SPEECH, EnrolledVoiceprints({}), PLACES[:2])
    assert PLACES[0] in together
    assert PLACES[2] not in together
    assert together.scores_of(PLACES[0]) is None
    with pytest.raises(KeyError):
        together.voice(PLACES[2])


def test_spans_in_noise_are_scored_by_what_they_are_worth() -> None:
    """Against voiceprints, and not among each other."""
    figures = msgspec.structs.replace(SCORER.calibration, acoustics=(8.0, 2.0))
    scorer = fake_scorer(SIZE, figures, cohort=COHORT)
    noisy, place = FakeSpeech(VOICES, Said(0, 4.0), Said(2, 3.0)), PLACES[1]
    noisy.how = (0.0, 10.0, math.nan)
    clean, heard = (HeardSpans(scorer, one, PEOPLE, PLACES) for one in (SPEECH, noisy))
    worth = scorer.prepare(SPEECH.heard([place])[0], worth_s(figures, 3.0, noisy.how))
    assert PEOPLE.prepared is not None
    scores = heard.scores_of(place)
    assert heard.voice(place).speech_s == clean.voice(place).speech_s == 3.0
    assert scores is not None
    expected = scorer.table(PEOPLE.prepared, worth).llr
    np.testing.assert_allclose(scores.llr, expected, atol=1e-5)
    np.testing.assert_array_equal(heard.heard(place), np.float32(noisy.how))
    unheard = clean.scores_of(place)
    assert unheard is not None
    assert np.abs(unheard.llr - expected).min() > 0.3


def test_what_was_left_out_counts_for_no_span() -> None:
    """Of 7 s the 2 s in the middle are of a voice in the background."""
    left, ended, end = 0, 4 * SAMPLE_RATE_HZ, 6 * SAMPLE_RATE_HZ
    before = SPEECH.heard([(left, ended)])[0][0]
    near = NearVoice(before, ended - left, ended, end, None, np.float32([15, 5, 2.0]))
    asked = [(left, 7 * SAMPLE_RATE_HZ), (left, end), (end, 7 * SAMPLE_RATE_HZ)]
    speech = FakeSpeech(VOICES, Said(0, 4.0), Said(2, 3.0))
    speech.how = (20.0, 10.0, 1.5)
    heard = HeardSpans(SCORER, speech, PEOPLE, asked, near)
    whole, kept, since = (heard.voice(place) for place in asked)
    last = SPEECH.heard([(end, 7 * SAMPLE_RATE_HZ)])[0]
    np.testing.assert_allclose(kept.embeddings[0], before, atol=1e-6)
    np.testing.assert_allclose(since.embeddings, last, atol=1e-6)
    np.testing.assert_allclose(whole.embeddings, unit(4 * before[None] + last), atol=1e-6)
    # Where it is not known what is usual no magnitude is either, of two embeddings together.
    mixed = [*(4 * np.array([15, 5]) + np.array([20, 10])) / 5, math.nan]
    for place, figures in zip(asked, (mixed, [15, 5, 2.0], [20, 10, 1.5]), strict=True):
        np.testing.assert_allclose(heard.heard(place), figures, atol=1e-5)
    assert [one.speech_s[0] for one in (whole, kept, since)] == [5.0, 4.0, 1.0]
    # And where it is, all of it is as unusual as both are.
    usual = MagnitudeFigures(usual=2.5, slope=-0.1, weight=5.0)
    figures = msgspec.structs.replace(SCORER.calibration, magnitude=usual)
    beyond = (4 * unusual(usual, 4.0, 2.2) + unusual(usual, 1.0, 2.6)) / 5
    speech.how, near = (20.0, 10.0, 2.6), replace(near, heard=np.float32([15, 5, 2.2]))
    sure = HeardSpans(fake_scorer(SIZE, figures, cohort=COHORT), speech, PEOPLE, asked, near)
    for place, seconds, expected in zip(
        asked,
        (5.0, 4.0, 1.0),
        (beyond, unusual(usual, 4.0, 2.2), unusual(usual, 1.0, 2.6)),
        strict=True,
    ):
        found = unusual(usual, seconds, sure.heard(place)[-1])
        assert found == pytest.approx(float(expected), abs=1e-5)
