from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.model.bundle import Bundle
from engine.model.encoder import Encoder
from engine.scoring.scorer import CalibratedScorer
from models.calibration import evidence_streams
from models.calibration.evidence_streams import (
    STRANGER_S,
    UNVOICED_HZ,
    Talk,
    rivals,
    streams,
    talks,
)
from models.calibration.stream_spans import spoken
from models.sound.conditions import TrainingConditions
from models.sound.corpus import Corpus
from tests.models.calibration.conftest import (
    RATE,
    Ends,
    Float32,
    Listening,
    any_source,
    followed,
    noise,
    other,
)

NAMES = [f"s{i:02}" for i in range(4)]


def who_follows(talk: Talk, said: list[Talk], encoder: Ends, scorer: CalibratedScorer) -> set[int]:
    """Everybody who takes over from ``talk`` under one of eight seeds."""
    found = set()
    for seed in range(8):
        stream, sound = followed(talk, [talk, *said], encoder, scorer, seed)
        after = sound[stream.taken :]
        (speaker,) = (
            one.speaker
            for one in said
            if len(one.speech) >= len(after)
            and np.corrcoef(after, one.speech[: len(after)])[0, 1] > 0.99
        )
        found.add(speaker)
    return found


def test_what_enrols_is_not_in_the_stream(
    corpus: Corpus, spectral_bundle: Bundle, scorer: CalibratedScorer
) -> None:
    said = talks(corpus, NAMES, Encoder(spectral_bundle, "cpu"), any_source(scorer), seed=0)
    assert [(t.speaker, t.split) for t in said] == [(i, s) for s in range(4) for i in range(4)]
    for talk in said:
        own = corpus.by_speaker[NAMES[talk.speaker]]
        enrolled = round(float(talk.enrolled.speech_s[0]) * RATE)
        assert enrolled + len(talk.speech) == sum(u.length for u in own)
        assert enrolled >= 0.4 * (enrolled + len(talk.speech))
        assert (talk.source, talk.language) == (own[0].source, own[0].language)
        assert talk.pitch_hz == UNVOICED_HZ  # noise has none of its own
    for one, again in zip(said[:4], said[4:8], strict=True):  # drawn anew for every split
        assert not np.array_equal(one.speech, again.speech)


def test_the_seed_decides_what_is_said(
    corpus: Corpus, spectral_bundle: Bundle, scorer: CalibratedScorer
) -> None:
    encoder = Encoder(spectral_bundle, "cpu")
    one, again, new = (
        talks(corpus, NAMES[:2], encoder, any_source(scorer), seed=s) for s in (0, 0, 1)
    )
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a.speech, b.speech)
        np.testing.assert_array_equal(a.enrolled.embeddings, b.enrolled.embeddings)
    pairs = zip(one, new, strict=True)
    assert not all(np.array_equal(a.speech, b.speech) for a, b in pairs)


def test_enrolments_and_streams_are_no_longer_than_asked_for(
    corpus: Corpus,
    spectral_bundle: Bundle,
    scorer: CalibratedScorer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evidence_streams, "ENROL_S", 2.0)
    monkeypatch.setattr(evidence_streams, "STREAM_S", 1.5)
    for talk in talks(
        corpus, NAMES[:2], Encoder(spectral_bundle, "cpu"), any_source(scorer), seed=0
    ):
        assert talk.enrolled.speech_s.tolist() == [2.0]
        assert len(talk.speech) == 1.5 * RATE


def test_rivals_are_others_of_the_source_and_split_and_of_the_language_if_there_are(
    talk: Talk,
) -> None:
    near, far = other(talk, 1), other(talk, 2, language="fr")
    elsewhere, clean = other(talk, 3, source="blue"), other(talk, 4, split=0)
    assert rivals(talk, [talk, far, near, elsewhere, clean]) == [near]
    assert rivals(talk, [talk, far, elsewhere, clean]) == [far]
    assert rivals(talk, [talk, replace(talk, pitch_hz=1.0), elsewhere, clean]) == []
    another = other(talk, 5)
    assert rivals(talk, [another, near]) == [another, near]


def test_a_stream_goes_on_with_somebody_else_at_the_same_level(
    talk: Talk, encoder: Ends, scorer: CalibratedScorer
) -> None:
    loud = replace(other(talk, 1), speech=noise(1, 10.0, level=0.3))
    stream, sound = followed(talk, [talk, loud], encoder, scorer)
    assert stream.talk is talk
    assert stream.taken == len(talk.speech)
    np.testing.assert_array_equal(sound[: stream.taken], talk.speech)
    after = sound[stream.taken :]
    assert len(after) == STRANGER_S * RATE
    assert after.std() == pytest.approx(talk.speech.std(), rel=1e-3)
    assert np.corrcoef(after, loud.speech[: len(after)])[0, 1] > 0.99


def test_sound_changes_at_the_start_of_an_utterance_and_not_with_the_stranger(
    talk: Talk, encoder: Ends, scorer: CalibratedScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds: list[Float32] = []

    def kept(sound: Float32, *rest: Any) -> Any:
        sounds.append(sound)
        return spoken(sound, *rest)

    monkeypatch.setattr(evidence_streams, "spoken", kept)
    begins = (2 * RATE, 4 * RATE)
    changing = replace(talk, split=evidence_streams.CHANGING, begins=begins)
    for seed in range(4):
        streams([changing, other(talk, 1)], encoder, lambda s, k, r: -s, seed, progress=False)
        (turned,) = np.flatnonzero(np.diff(np.sign(sounds[-2][: len(talk.speech)] * talk.speech)))
        assert turned + 1 in begins
    whole = replace(changing, begins=())
    streams([whole, other(talk, 1)], encoder, lambda s, k, r: -s, 0, progress=False)
    (turned,) = np.flatnonzero(np.diff(np.sign(sounds[-2][: len(talk.speech)] * talk.speech)))
    assert turned + 1 == len(talk.speech) // 2


def test_each_utterance_is_a_recording_of_its_own(
    talk: Talk, encoder: Ends, scorer: CalibratedScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut: list[int] = []

    def loud(speech: Float32, rng: np.random.Generator) -> Float32:
        cut.append(len(speech))
        return speech * np.float32(len(cut))

    monkeypatch.setattr(evidence_streams, "another_recording", loud)
    anew = replace(talk, split=evidence_streams.RECORDED_ANEW, begins=(2 * RATE, 5 * RATE))
    streams([anew, other(talk, 1)], encoder, Listening(), 0, progress=False)
    assert cut[:4] == [2 * RATE, 3 * RATE, RATE, 6 * RATE]  # the last is the stranger's


def test_what_a_level_would_drive_too_far_is_clipped(
    talk: Talk, encoder: Ends, scorer: CalibratedScorer
) -> None:
    loud = replace(talk, speech=noise(0, 6.0, level=0.6).clip(-1, 1))
    sound = followed(loud, [loud, other(talk, 1)], encoder, scorer)[1]
    assert np.abs(sound).max() == 1
    assert sound.dtype == np.float32


def test_places_until_the_takeover_are_the_speakers_own(
    talk: Talk, encoder: Ends, scorer: CalibratedScorer
) -> None:
    stream, _ = followed(talk, [talk, other(talk, 1)], encoder, scorer)
    assert [mark.position for mark in stream.own] == list(range(RATE, 6 * RATE + 1, RATE // 2))
    assert len(stream.own) < len(stream.marks)


def test_only_the_second_split_is_degraded_by_one_of_the_kinds(
    talk: Talk, encoder: Ends, scorer: CalibratedScorer
) -> None:
    said = [other(talk, i, split=i % 2) for i in range(24)]
    listening = Listening()
    made = streams(said, encoder, listening, 0, progress=False)
    assert [stream.talk for stream in made] == said
    assert len(listening.given) == 12
    assert set(listening.kinds) == set(range(TrainingConditions.KINDS))


def test_what_is_too_short_or_has_nobody_to_follow_makes_no_stream(
    talk: Talk, encoder: Ends, scorer: CalibratedScorer
) -> None:
    def made(*said: Talk) -> list[int]:
        found = streams(said, encoder, Listening(), 0, progress=False)
        return [stream.talk.speaker for stream in found]

    assert made() == made(talk) == []
    assert made(talk, other(talk, 1, 4.9)) == [0]  # long enough to follow, not to be followed
    assert made(talk, other(talk, 1, 3.9)) == []
    assert made(talk, other(talk, 1, source="blue")) == []
    assert made(talk, replace(other(talk, 0), split=0)) == []


def test_who_takes_over_is_like_in_pitch_before_all_and_then_in_language(
    talk: Talk, encoder: Ends, scorer: CalibratedScorer
) -> None:
    far = other(talk, 1, 4.5, pitch_hz=130.0)
    near = other(talk, 2, 4.5, pitch_hz=119.0, language="fr")
    below = other(talk, 3, 4.5, pitch_hz=84.0)
    foreign = other(talk, 4, 4.5, pitch_hz=200.0, language="fr")
    assert who_follows(talk, [far, near, foreign], encoder, scorer) == {2}
    assert who_follows(talk, [far, near, below, foreign], encoder, scorer) == {3}
    assert who_follows(talk, [far, foreign], encoder, scorer) == {1}
    assert who_follows(talk, [foreign], encoder, scorer) == {4}
    beside = other(talk, 5, 4.5, pitch_hz=101.0)
    assert who_follows(talk, [below, beside], encoder, scorer) == {3, 5}


def test_between_utterances_there_are_pauses_of_which_half_end_turns(
    talk: Talk, encoder: Ends, scorer: CalibratedScorer
) -> None:
    begins = tuple(range(RATE // 2, 6 * RATE, RATE // 2))
    said = [replace(talk, begins=begins), other(talk, 1)]
    stream, sound = followed(said[0], said, encoder, scorer)
    runs = stream.spans.timeline.all_runs()
    assert [place for place, _ in runs] == [0, *begins, 6 * RATE]
    pauses = np.diff([media - place for place, media in runs]) / RATE
    short = [0.1 <= pause <= 0.5 for pause in pauses]
    assert all(
        0.7 <= pause <= 10 for pause, is_short in zip(pauses, short, strict=True) if not is_short
    )
    assert 0 < sum(short) < len(short)
    places = [place for place, _ in runs[1:]]
    assert stream.turns == [
        (place, pytest.approx(pause, abs=1e-3))
        for place, pause, is_short in zip(places, pauses, short, strict=True)
        if not is_short
    ]
    without, same = followed(talk, [talk, other(talk, 1)], encoder, scorer)
    np.testing.assert_array_equal(sound, same)  # pauses are no part of net speech
    assert [mark.position for mark in stream.marks] == [mark.position for mark in without.marks]
