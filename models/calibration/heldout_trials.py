"""Trials to calibrate on, cut from speakers that were held out of training.

The utterances of a speaker are split in two halves, at random and more than once where
there are enough; one half enrols, the other tests, so no utterance is on both sides. A
half is joined and cut to net durations from 0.75 to 10 s, and its first utterance is also
used whole. Enrolment is clean; test segments come clean and degraded. Non-target trials
stay within a source and, where there are speakers, within a language: pairs that differ
in either are easier than those that matter, and a fit on them would believe too much.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from engine.format import SAMPLE_RATE_HZ
from engine.model.encoder import Encoder, hear_speech
from engine.model.manifest import HEARD
from models.sound.conditions import Degrade, TrainingConditions
from models.sound.corpus import Corpus, StoredUtterance

DURATIONS_S = (0.75, 1.0, 2.0, 3.0, 5.0, 10.0)
ENROL_S = (2.0, 3.0, 5.0, 10.0)
DEGRADED_S = (1.0, 2.0, 3.0, 5.0)
WHOLE = 0.0  # label of a segment that is one utterance as it is
MOST_SPLITS = 2  # of a speaker's utterances in two halves
NONTARGETS = 10  # for every test segment
CLEAN_SHARE = 0.6  # of the weight; the rest is degraded
BATCH_SAMPLES = 60 * SAMPLE_RATE_HZ

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Segment:
    """Some net speech of one speaker: the first ``samples`` of ``utterances`` joined.

    ``label_s`` is the duration it was cut for, ``WHOLE`` for one utterance as it is;
    ``split`` and ``half`` say which segments it shares no utterance with.
    """

    speaker: int
    split: int
    half: int
    utterances: tuple[StoredUtterance, ...]
    samples: int
    label_s: float
    degraded: bool


def cut_segments(
    corpus: Corpus, speakers: Sequence[str], min_samples: int, rng: np.random.Generator
) -> list[Segment]:
    """Every segment of ``speakers``, none shorter than ``min_samples``."""
    segments = []
    for index, speaker in enumerate(speakers):
        own = corpus.by_speaker[speaker]
        for split in range(min(MOST_SPLITS, len(own) // 2)):
            order = rng.permutation(len(own))
            middle = len(own) // 2
            for half, rows in enumerate((order[:middle], order[middle:])):
                utterances = tuple(own[i] for i in rows)
                cuts = _cuts(index, split, half, utterances)
                segments += [s for s in cuts if s.samples >= min_samples]
    return segments


def _cuts(
    speaker: int, split: int, half: int, utterances: tuple[StoredUtterance, ...]
) -> Iterator[Segment]:
    first, total = utterances[0], sum(u.length for u in utterances)
    for degraded in (False, True):
        yield Segment(speaker, split, half, (first,), first.length, WHOLE, degraded)
        for seconds in DEGRADED_S if degraded else DURATIONS_S:
            samples = round(seconds * SAMPLE_RATE_HZ)
            if samples <= total:
                yield Segment(speaker, split, half, utterances, samples, seconds, degraded)


def embed_segments(
    corpus: Corpus,
    encoder: Encoder,
    segments: Sequence[Segment],
    degrade: Degrade,
    rng: np.random.Generator,
    *,
    progress: bool = True,
) -> tuple[Float32, Float32]:
    """Unit embeddings ``(N, D)`` of ``segments``, and how they were heard, ``(N, 3)``.

    Segments of one length go together.
    """
    by_length: dict[int, list[int]] = defaultdict(list)
    for row, segment in enumerate(segments):
        by_length[segment.samples].append(row)
    embeddings = np.empty((len(segments), encoder.embedding_size), np.float32)
    heard = np.empty((len(segments), HEARD), np.float32)
    with tqdm(total=len(segments), unit="segment", disable=None if progress else True) as bar:
        for samples, rows in by_length.items():
            size = max(1, BATCH_SAMPLES // samples)
            for group in (rows[i : i + size] for i in range(0, len(rows), size)):
                batch = np.stack([_waveform(corpus, segments[r], degrade, rng) for r in group])
                if samples > encoder.max_samples:
                    found = zip(*[hear_speech(encoder, x) for x in batch], strict=True)
                    embeddings[group], heard[group] = (np.stack(rows) for rows in found)
                else:
                    embeddings[group], heard[group] = encoder.hear(batch)
                bar.update(len(group))
    return embeddings, heard


def _waveform(
    corpus: Corpus, segment: Segment, degrade: Degrade, rng: np.random.Generator
) -> Float32:
    speech = np.concatenate([corpus.waveform(u) for u in segment.utterances])[: segment.samples]
    if not segment.degraded:
        return speech
    # Drawn, not in turn: turns would tie each duration to the same few conditions.
    return degrade(speech, int(rng.integers(TrainingConditions.KINDS)), rng)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Trials as rows of the segments: ``enrol``, ``test`` and ``target``, each ``(P,)``."""

    enrol: Ints
    test: Ints
    target: Bools


def pair_segments(
    segments: Sequence[Segment], corpus: Corpus, speakers: Sequence[str], rng: np.random.Generator
) -> Pairs:
    """All target trials, and some non-target trials for each test segment."""
    enrol_rows = [i for i, s in enumerate(segments) if _enrols(s)]
    same: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    for i in enrol_rows:
        same[segments[i].speaker, segments[i].split, segments[i].half].append(i)
    by_speaker: dict[int, list[int]] = defaultdict(list)
    for i in enrol_rows:
        by_speaker[segments[i].speaker].append(i)
    rivals = _rivals(corpus, speakers, set(by_speaker))
    pairs: list[tuple[int, int, bool]] = []
    for test, segment in enumerate(segments):
        other = same[segment.speaker, segment.split, 1 - segment.half]
        pairs += [(enrol, test, True) for enrol in other]
        others = rivals[segment.speaker]
        for speaker in rng.choice(others, NONTARGETS) if others else ():
            pairs.append((int(rng.choice(by_speaker[int(speaker)])), test, False))
    enrol, test_rows, target = zip(*pairs, strict=True)
    return Pairs(np.array(enrol, np.intp), np.array(test_rows, np.intp), np.array(target, bool))


def _enrols(segment: Segment) -> bool:
    return not segment.degraded and segment.label_s in (*ENROL_S, WHOLE)


def _rivals(corpus: Corpus, speakers: Sequence[str], usable: set[int]) -> list[list[int]]:
    """For each speaker, others of its source: of its language, or of any if there is none."""
    first = [corpus.by_speaker[name][0] for name in speakers]
    rivals = []
    for i, own in enumerate(first):
        same_source = [j for j in sorted(usable - {i}) if first[j].source == own.source]
        same_language = [j for j in same_source if first[j].language == own.language]
        rivals.append(same_language or same_source)
    return rivals


def weigh(segments: Sequence[Segment], pairs: Pairs) -> Float64:
    """Weights ``(P,)`` that sum to one over targets and to one over non-targets.

    Each duration of the test side weighs the same, clean and degraded have their shares;
    within those each duration of the enrolment weighs the same, and then every test speaker.
    So targets and non-targets have the same durations: how long a recording is must not
    itself speak for or against. A cell that has only one of the two kinds weighs nothing.
    """
    degraded = np.array([s.degraded for s in segments])[pairs.test]
    label = np.array([s.label_s for s in segments])[pairs.test]
    enrolled = np.array([s.label_s for s in segments])[pairs.enrol]
    speaker = np.array([s.speaker for s in segments])[pairs.test]
    keys = np.stack([pairs.target, degraded, label, enrolled, speaker])
    here, ones = keys[1:4], np.ones(len(pairs.target))
    targets = _sums(here, pairs.target.astype(np.float64))
    usable = (targets > 0) & (targets < _sums(here, ones))
    weights = usable.astype(np.float64)
    for depth in (5, 4, 3, 2):  # speakers, enrolments, durations alike, then conditions
        weights /= np.where(usable, _sums(keys[:depth], weights), 1.0)
    weights *= np.where(degraded, 1 - CLEAN_SHARE, CLEAN_SHARE)
    return np.asarray(weights / _sums(keys[:1], weights), np.float64)


def _sums(keys: Float64, values: Float64) -> Float64:
    """For every column, the sum of ``values`` over the columns of ``keys`` equal to it."""
    group = np.zeros(keys.shape[1], np.intp)
    for row in keys:  # one number for each combination met so far
        _, rank = np.unique(row, return_inverse=True)
        _, group = np.unique(group * (rank.max() + 1) + rank, return_inverse=True)
    return np.asarray(np.bincount(group, values)[group], np.float64)
