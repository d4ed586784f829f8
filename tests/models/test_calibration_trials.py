from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models import calibration_trials as cutting
from models.corpus import Corpus

RATE = 16000


@pytest.fixture(scope="module")
def segments(corpus: Corpus) -> list[cutting.Segment]:
    names = list(corpus.by_speaker)
    return cutting.cut_segments(corpus, names, RATE // 2, np.random.default_rng(0))


@pytest.fixture(scope="module")
def pairs(corpus: Corpus, segments: list[cutting.Segment]) -> cutting.Pairs:
    names = list(corpus.by_speaker)
    return cutting.pair_segments(segments, corpus, names, np.random.default_rng(0))


def test_segments_hold_what_they_say(corpus: Corpus, segments: list[cutting.Segment]) -> None:
    for s in segments:
        assert RATE // 2 <= s.samples <= sum(u.length for u in s.utterances)
        if s.label_s != cutting.WHOLE:
            assert s.samples == round(s.label_s * RATE)
        else:
            assert s.samples == s.utterances[0].length
    assert {s.label_s for s in segments} >= {0.0, 0.75, 1.0, 2.0, 3.0, 5.0}


def test_enrolment_and_test_share_no_utterance(
    segments: list[cutting.Segment], pairs: cutting.Pairs
) -> None:
    for e, t, target in zip(pairs.enrol, pairs.test, pairs.target, strict=True):
        enrol, test = segments[e], segments[t]
        assert target == (enrol.speaker == test.speaker)
        assert not set(enrol.utterances) & set(test.utterances)
        assert not enrol.degraded


def test_non_targets_stay_within_a_source_and_half_within_a_language(
    corpus: Corpus, segments: list[cutting.Segment], pairs: cutting.Pairs
) -> None:
    first = [u[0] for u in corpus.by_speaker.values()]
    others = ~pairs.target
    enrol = [first[segments[i].speaker] for i in pairs.enrol[others]]
    test = [first[segments[i].speaker] for i in pairs.test[others]]
    assert all(a.source == b.source for a, b in zip(enrol, test, strict=True))
    near = [a.language == b.language for a, b in zip(enrol, test, strict=True)]
    assert np.mean(near) == pytest.approx(0.5)


def test_weights_give_every_duration_condition_and_speaker_its_share(
    segments: list[cutting.Segment], pairs: cutting.Pairs
) -> None:
    weights = cutting.weigh(segments, pairs)
    degraded = np.array([segments[i].degraded for i in pairs.test])
    label = np.array([segments[i].label_s for i in pairs.test])
    speaker = np.array([segments[i].speaker for i in pairs.test])
    for kind in (pairs.target, ~pairs.target):
        assert weights[kind].sum() == pytest.approx(1)
        assert weights[kind & ~degraded].sum() == pytest.approx(cutting.CLEAN_SHARE)
        clean = [weights[kind & ~degraded & (label == x)].sum() for x in np.unique(label)]
        np.testing.assert_allclose(clean, cutting.CLEAN_SHARE / len(clean))
        one = kind & ~degraded & (label == 1.0)
        each = [weights[one & (speaker == s)].sum() for s in np.unique(speaker[one])]
        np.testing.assert_allclose(each, each[0])


@pytest.mark.parametrize("turn", range(cutting.TrainingConditions.KINDS))
def test_conditions_change_the_sound_and_not_its_length(corpus_cache: Path, turn: int) -> None:
    speech = np.sin(np.arange(RATE) / 5).astype(np.float32) * np.float32(0.3)
    degraded = cutting.TrainingConditions(corpus_cache)(speech, turn, np.random.default_rng(turn))
    assert degraded.shape == speech.shape
    assert degraded.dtype == np.float32
    assert np.isfinite(degraded).all()
    assert np.abs(degraded - speech).max() > 0.01
