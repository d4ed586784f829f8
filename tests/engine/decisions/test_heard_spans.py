"""Spans that are asked for together are what each is alone."""

from __future__ import annotations

import numpy as np
import pytest
from fake_scorers import fake_scorer
from fake_speech import FakeSpeech, Said

from engine.decisions.heard_spans import HeardSpans
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
    assert scores.llr == pytest.approx(SCORER.table(PEOPLE.prepared, alone).llr, abs=1e-9)


def test_only_what_was_asked_is_there() -> None:
    together = HeardSpans(SCORER, SPEECH, EnrolledVoiceprints({}), PLACES[:2])
    assert PLACES[0] in together
    assert PLACES[2] not in together
    assert together.of(PLACES[0])[1] is None
    with pytest.raises(KeyError):
        together.of(PLACES[2])
