"""Spans that are asked for together are what each is alone, but for rounding."""

from __future__ import annotations

import numpy as np
import pytest
from fake_scorers import fake_scorer
from fake_speech import FakeSpeech, Said

from engine.decisions.heard_spans import HeardSpans, NearVoice
from engine.format import SAMPLE_RATE_HZ, unit
from engine.model.manifest import Calibration
from engine.scoring.identify import EnrolledVoiceprints

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
    prepared, scores = together.of(place)
    alone = SCORER.prepare(SPEECH.embeddings([place]), (place[1] - place[0]) / SAMPLE_RATE_HZ)
    np.testing.assert_array_equal(prepared.embeddings, alone.embeddings)
    assert prepared.speech_s == alone.speech_s
    assert scores is not None
    assert PEOPLE.prepared is not None
    assert scores.llr == pytest.approx(SCORER.table(PEOPLE.prepared, alone).llr, abs=1e-5)


def test_only_what_was_asked_is_there() -> None:
    together = HeardSpans(SCORER, SPEECH, EnrolledVoiceprints({}), PLACES[:2])
    assert PLACES[0] in together
    assert PLACES[2] not in together
    assert together.of(PLACES[0])[1] is None
    with pytest.raises(KeyError):
        together.of(PLACES[2])


def test_what_was_left_out_counts_for_no_span() -> None:
    """Of 7 s the 2 s in the middle are of a voice in the background."""
    left, ended, end = 0, 4 * SAMPLE_RATE_HZ, 6 * SAMPLE_RATE_HZ
    before = SPEECH.embeddings([(left, ended)])[0]
    near = NearVoice(before, ended - left, ended, end, None)
    asked = [(left, 7 * SAMPLE_RATE_HZ), (left, end), (end, 7 * SAMPLE_RATE_HZ)]
    heard = HeardSpans(SCORER, SPEECH, PEOPLE, asked, near)
    whole, kept, since = (heard.of(place)[0] for place in asked)
    last = SPEECH.embeddings([(end, 7 * SAMPLE_RATE_HZ)])
    np.testing.assert_allclose(kept.embeddings[0], before, atol=1e-6)
    np.testing.assert_allclose(since.embeddings, last, atol=1e-6)
    np.testing.assert_allclose(whole.embeddings, unit(4 * before[None] + last), atol=1e-6)
    assert [one.speech_s[0] for one in (whole, kept, since)] == [5.0, 4.0, 1.0]
