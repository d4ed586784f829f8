"""Scores, counts and averages of embeddings that are told apart by a number each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.scoring.scorer import CalibratedScores, Scores
from models.evaluation.embeddings import FULL, Cuts, Embeddings
from models.evaluation.scoring import (
    MEAN_TARGETS,
    Cell,
    Scored,
    in_mean,
    left_out,
    mean,
    pooled_min_cllr,
    score_lists,
)
from models.evaluation.trials import Trial, TrialList
from models.metrics import LLR_METRICS, ORDER_METRICS, measure

RATE_HZ = 16_000
Array = NDArray[np.float64]


class Numbers:
    """Its cosine names both embeddings, its other score both lengths."""

    name = "numbers"
    min_speech_s = 0.5

    def __init__(self, *, calibrated: bool = False) -> None:
        self.calibrated = calibrated
        self.sides: list[tuple[int, int]] = []

    def embed(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        raise AssertionError("scoring embeds nothing")

    def score(
        self,
        enrol: NDArray[np.float32],
        enrol_s: Array,
        test: NDArray[np.float32],
        test_s: Array,
        pairs: NDArray[np.intp],
    ) -> Scores:
        assert len(pairs), "no system is asked about nothing"
        self.sides.append((len(enrol), len(test)))
        left, right = pairs.T
        cosine = 1000.0 * enrol[left, 0] + test[right, 0]
        lengths = 1000 * enrol_s[left] + test_s[right]
        if self.calibrated:
            return CalibratedScores(cosine, lengths, -lengths)
        return Scores(cosine, lengths)


def embeddings_of(
    speech: dict[Path, int], cuts: Cuts, *, min_speech_s: float = Numbers.min_speech_s
) -> Embeddings:
    """An embedding for every segment that ``cuts`` takes of ``speech``: its number."""
    embeddings = Embeddings(speech, {})
    for path, samples in speech.items():
        keys = {(path, samples, "clean"): None}
        for duration_s in cuts.durations:
            taken = cuts.samples(duration_s, samples)
            if taken is not None:
                keys.update({(path, taken, condition): None for condition in cuts.conditions})
        long = [key for key in keys if key[1] >= min_speech_s * RATE_HZ]
        known = len(embeddings.samples())
        embeddings.add(long, np.arange(known, known + len(long), dtype=np.float32)[:, None])
    return embeddings


def list_of(pairs: Sequence[tuple[int, str, str]], name: str = "one") -> TrialList:
    return TrialList(name, Path("/sounds"), tuple(Trial(bool(t), a, b) for t, a, b in pairs))


def speech_of(seconds: dict[str, float]) -> dict[Path, int]:
    return {Path("/sounds") / name: round(s * RATE_HZ) for name, s in seconds.items()}


CUTS = Cuts((1.0, 2.0, FULL), ("clean", "noise"))
FILES = ("a/0", "a/1", "b/0", "b/1", "c/0")
SECONDS = dict(zip(FILES, (0.25, 1.0, 1.5, 2.0, 2.5), strict=True))  # 0.25: too short to embed


def test_recordings_that_no_trial_can_use_are_named_once_with_the_reason() -> None:
    pairs = [(1, "a/1", "a/0"), (0, "a/1", "b/0"), (0, "a/0", "gone/0"), (0, "b/1", "c/0")]
    embeddings = embeddings_of(speech_of(SECONDS), CUTS)
    embeddings.refused[Path("/sounds/gone/0")] = "gone/0: is not there"
    lists = [list_of(pairs), list_of(pairs, "again")]
    too_short = f"a/0: has 0.25 s of net speech, and the model needs {Numbers.min_speech_s:g} s"
    unusable = [too_short, "gone/0: is not there"]
    assert left_out(lists, embeddings, CUTS, Numbers.min_speech_s) == unusable
    # a/1 has 1 s, and is a voiceprint only; b/0 with 1.5 s has to be long enough for a test.
    long = Cuts((2.0, 2.5), ("clean",))
    tested = "b/0: has 1.50 s of net speech, as a test less than the shortest duration, 2 s"
    found = left_out(lists, embeddings, long, Numbers.min_speech_s)
    assert found == [too_short, tested, "gone/0: is not there"]
    kept = Cuts((2.0,), ("clean",), "keep")
    assert left_out(lists, embeddings, kept, Numbers.min_speech_s) == unusable


@settings(max_examples=40)
@given(st.lists(st.tuples(*2 * [st.sampled_from((*FILES, "gone/0"))]), max_size=12))
def test_every_trial_is_scored_on_its_own_segments_or_counted(
    sides: list[tuple[str, str]],
) -> None:
    pairs = [(int(enrol[0] == test[0]), enrol, test) for enrol, test in sides]
    speech = speech_of(SECONDS)
    embeddings = embeddings_of(speech, CUTS)
    cells = score_lists([list_of(pairs)], Numbers(), embeddings, CUTS, resamples=0)
    cuts = [(d, c) for d in CUTS.durations for c in CUTS.conditions]
    assert [(cell.duration_s, cell.condition) for cell in cells] == cuts
    for cell in cells:
        left, scores, lengths, speakers, short, unusable = [], [], [], set(), 0, 0
        for target, enrol, test in pairs:
            one, other = (SECONDS.get(name, 0) for name in (enrol, test))
            cut = other if cell.duration_s == FULL else cell.duration_s
            if other and other < cut:
                short += 1
            elif min(one, other) < Numbers.min_speech_s:
                unusable += 1
            else:
                rows = [
                    embeddings.row((Path("/sounds") / name, round(s * RATE_HZ), condition))
                    for name, s, condition in ((enrol, one, "clean"), (test, cut, cell.condition))
                ]
                left.append(bool(target))
                scores.append(1000 * rows[0] + rows[1])
                lengths.append(1000 * one + cut)
                speakers |= {enrol[0], test[0]}
        assert (cell.short, cell.unusable, cell.speakers) == (short, unusable, len(speakers))
        assert cell.target.tolist() == left
        assert cell.cosine.scores.tolist() == scores
        assert cell.calibrated.scores.tolist() == lengths
        assert bool(cell.cosine.figures) == (len(set(left)) == 2)


PAIRS = [
    (1, "a/1", "a/1"),
    (0, "a/1", "b/0"),
    (1, "b/0", "b/1"),
    (0, "b/1", "c/0"),
    (0, "c/0", "a/1"),
    (1, "c/0", "c/0"),
]
WHOLE = Cuts((FULL,), ("clean",))


def test_a_recording_meets_the_system_once_however_many_trials_it_is_in() -> None:
    system = Numbers()
    embeddings = embeddings_of(speech_of(SECONDS), WHOLE)
    score_lists([list_of(4 * PAIRS)], system, embeddings, WHOLE, resamples=0)
    assert system.sides == [(4, 4)]


@pytest.mark.parametrize("calibrated", [False, True])
def test_a_calibrated_system_is_measured_by_its_ratios(calibrated: bool) -> None:
    system = Numbers(calibrated=calibrated)
    embeddings = embeddings_of(speech_of(SECONDS), WHOLE)
    (cell,) = score_lists([list_of(PAIRS)], system, embeddings, WHOLE, resamples=3)
    assert (cell.cosine.is_llr, cell.calibrated.is_llr) == (False, calibrated)
    assert (cell.calibrated.scores < 0).all() == calibrated
    assert cell.cosine.figures.keys() == set(ORDER_METRICS)
    extra = set(LLR_METRICS) if calibrated else set()
    assert cell.calibrated.figures.keys() == set(ORDER_METRICS) | extra
    assert cell.calibrated.resampled.keys() == cell.calibrated.figures.keys()
    assert {values.shape for values in cell.calibrated.resampled.values()} == {(3,)}


def test_lists_draw_their_speakers_apart_and_their_cuts_and_systems_in_pairs() -> None:
    embeddings = embeddings_of(speech_of(SECONDS), CUTS)
    cuts = Cuts((FULL,), ("clean", "noise"))
    lists = [list_of(3 * PAIRS, name) for name in ("one", "other")]

    def drawn(system: Numbers, seed: int) -> list[list[float]]:
        cells = score_lists(lists, system, embeddings, cuts, resamples=40, seed=seed)
        # The score of lengths is the same under every condition: only the draws could differ.
        return [np.nan_to_num(c.calibrated.resampled["eer"], nan=-1).tolist() for c in cells]

    one_clean, one_noise, other_clean, _ = drawn(Numbers(), 0)
    assert one_clean == one_noise
    assert one_clean != other_clean
    assert drawn(Numbers(), 0)[0] == one_clean
    assert drawn(Numbers(), 1)[0] != one_clean
    reordered = score_lists(lists[::-1], Numbers(), embeddings, cuts, resamples=40)
    assert reordered[0].list == "other"
    eers = np.nan_to_num(reordered[0].calibrated.resampled["eer"], nan=-1)
    assert eers.tolist() == other_clean


def cell_of(targets: int, figures: dict[str, float]) -> Cell:
    target = np.arange(targets + 5) < targets
    scored = Scored(np.zeros(targets + 5), False, figures, {})
    return Cell("one", FULL, "clean", 0, 0, target, 2, scored, scored)


def test_a_mean_takes_lists_with_enough_targets_and_figures() -> None:
    assert in_mean(cell_of(MEAN_TARGETS, {"eer": 0.0}))
    assert not in_mean(cell_of(MEAN_TARGETS - 1, {"eer": 0.0}))
    assert not in_mean(cell_of(MEAN_TARGETS, {}))


def scored(figures: dict[str, float], resampled: dict[str, list[float]]) -> Scored:
    drawn = {name: np.array(values) for name, values in resampled.items()}
    return Scored(np.zeros(1), True, figures, drawn)


def test_means_are_of_what_all_lists_have_draw_by_draw() -> None:
    lists = [
        scored({"eer": 0.1, "cllr": 0.3, "min_cllr": 0.2}, {"eer": [0.0, 0.2], "cllr": [1, 1]}),
        scored({"eer": 0.5, "cllr": 0.5}, {"eer": [0.4, 1.0]}),
    ]
    for every in (lists, lists[::-1]):
        figures, resampled = mean(iter(every))
        assert figures == pytest.approx({"eer": 0.3, "cllr": 0.4})
        assert resampled.keys() == {"eer"}
        assert resampled["eer"] == pytest.approx([0.2, 0.6])
    figures, resampled = mean(lists[:1])
    assert figures == lists[0].figures
    assert resampled.keys() == {"eer", "cllr"}
    assert mean([]) == ({}, {})


def test_one_rescoring_of_all_lists_does_no_better_than_one_for_each() -> None:
    rng = np.random.default_rng(0)
    target = np.arange(400) % 4 == 0
    scores = [rng.standard_normal(400) + 2 * target + shift for shift in (0.0, 1.5)]
    lists = [Scored(s, True, measure(s, target, is_llr=True), {}) for s in scores]
    own = np.mean([one.figures["min_cllr"] for one in lists])
    # Lists of scores that lie apart need different rescorings; alike, one does for both.
    assert pooled_min_cllr(lists, [target, target]) > 1.1 * own
    again = [lists[0], lists[0]]
    once = lists[0].figures["min_cllr"]
    assert pooled_min_cllr(again, [target, target]) == pytest.approx(once)
    thrice = [Scored(np.tile(scores[1], 3), True, {}, {}), lists[0]]
    weighed = pooled_min_cllr(thrice, [np.tile(target, 3), target])
    assert weighed == pytest.approx(pooled_min_cllr(lists, [target, target]))
