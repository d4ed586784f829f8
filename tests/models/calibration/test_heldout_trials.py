from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.model.bundle import Bundle
from engine.model.encoder import Encoder
from models.calibration import heldout_trials as cutting
from models.sound.conditions import TrainingConditions
from models.sound.corpus import Corpus

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


def test_no_duration_is_tied_to_a_condition(
    corpus: Corpus, segments: list[cutting.Segment], spectral_bundle: Bundle
) -> None:
    kinds: dict[int, set[int]] = defaultdict(set)

    def note(speech: NDArray[np.float32], kind: int, _: np.random.Generator) -> NDArray[np.float32]:
        kinds[len(speech)].add(kind)
        return speech

    cutting.embed_segments(
        corpus,
        Encoder(spectral_bundle, "cpu"),
        segments,
        note,
        np.random.default_rng(0),
        progress=False,
    )
    for seconds in cutting.DEGRADED_S[:3]:
        assert kinds[round(seconds * RATE)] == set(range(TrainingConditions.KINDS))


def test_each_segment_has_the_embedding_of_its_own_sound_and_how_that_was_heard(
    corpus: Corpus, segments: list[cutting.Segment], heard_bundle: Bundle
) -> None:
    encoder, some = Encoder(heard_bundle, "cpu"), segments[:: len(segments) // 12]

    def as_it_is(
        speech: NDArray[np.float32], _kind: int, _rng: np.random.Generator
    ) -> NDArray[np.float32]:
        return speech

    rng = np.random.default_rng(0)
    found = cutting.embed_segments(corpus, encoder, some, as_it_is, rng, progress=False)
    for segment, embedding, how in zip(some, *found, strict=True):
        waveform = cutting._waveform(corpus, segment, as_it_is, rng)
        alone = encoder.hear(waveform[None])
        np.testing.assert_allclose(embedding, alone[0][0], atol=1e-5)
        np.testing.assert_allclose(how, alone[1][0], rtol=1e-4)


def test_enrolment_and_test_share_no_utterance(
    segments: list[cutting.Segment], pairs: cutting.Pairs
) -> None:
    for e, t, target in zip(pairs.enrol, pairs.test, pairs.target, strict=True):
        enrol, test = segments[e], segments[t]
        assert target == (enrol.speaker == test.speaker)
        assert not set(enrol.utterances) & set(test.utterances)
        assert not enrol.degraded


def test_non_targets_stay_within_a_source_and_a_language(
    corpus: Corpus, segments: list[cutting.Segment], pairs: cutting.Pairs
) -> None:
    first = [u[0] for u in corpus.by_speaker.values()]
    for e, t in zip(pairs.enrol[~pairs.target], pairs.test[~pairs.target], strict=True):
        enrol, test = first[segments[e].speaker], first[segments[t].speaker]
        assert (enrol.source, enrol.language) == (test.source, test.language)


def test_who_is_alone_with_a_language_meets_others_of_the_source(corpus: Corpus) -> None:
    names = ["s00", "s01", "s02", "s05"]  # blue en, red en, blue fr, red en
    rng = np.random.default_rng(0)
    cut = cutting.cut_segments(corpus, names, RATE // 2, rng)
    pairs = cutting.pair_segments(cut, corpus, names, rng)
    met = {
        (cut[t].speaker, cut[e].speaker)
        for e, t in zip(pairs.enrol[~pairs.target], pairs.test[~pairs.target], strict=True)
    }
    assert met == {(0, 2), (2, 0), (1, 3), (3, 1)}


def test_weights_give_every_duration_condition_and_speaker_its_share(
    segments: list[cutting.Segment], pairs: cutting.Pairs
) -> None:
    weights = cutting.weigh(segments, pairs)
    degraded = np.array([segments[i].degraded for i in pairs.test])
    label = np.array([segments[i].label_s for i in pairs.test])
    enrolled = np.array([segments[i].label_s for i in pairs.enrol])
    speaker = np.array([segments[i].speaker for i in pairs.test])
    for kind in (pairs.target, ~pairs.target):
        assert weights[kind].sum() == pytest.approx(1)
        assert weights[kind & ~degraded].sum() == pytest.approx(cutting.CLEAN_SHARE)
        clean = [weights[kind & ~degraded & (label == x)].sum() for x in np.unique(label)]
        np.testing.assert_allclose(clean, cutting.CLEAN_SHARE / len(clean))
        one = kind & ~degraded & (label == 1.0)
        enrolments = [weights[one & (enrolled == x)].sum() for x in np.unique(enrolled)]
        np.testing.assert_allclose(enrolments, enrolments[0])
        cell = one & (enrolled == 3.0)
        speakers = [weights[cell & (speaker == s)].sum() for s in np.unique(speaker[cell])]
        np.testing.assert_allclose(speakers, speakers[0])
