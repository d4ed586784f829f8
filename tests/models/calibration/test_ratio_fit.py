from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.model.manifest import Calibration, MagnitudeFigures
from engine.scoring.scorer import llr, speech_gain
from engine.scoring.worth import worth_s
from models.calibration import ratio_fit
from models.calibration.ratio_fit import (
    Fitted,
    ScoredTrials,
    cross_validate,
    deal_folds,
    fit,
    ratios,
    table,
)
from models.metrics import measure


def simulated(
    seed: int,
    speakers: int = 60,
    shift: float = 0.0,
    added: tuple[float, float] | None = None,
    magnitude: MagnitudeFigures | None = None,
) -> tuple[ScoredTrials, NDArray[Any]]:
    """Normalised scores of the Gaussian model of ``engine.scoring.scorer``, and their true LLRs.

    With ``added`` a quarter of the tests is heard in noise, and one in rooms, which add so much;
    with ``magnitude`` those of the tested embeddings are known, and count so.
    """
    true = Calibration(
        half_speech_s=2.0,
        slope=(0.1, 1),
        offset=(0, 0, 0),
        acoustics=added or (0, 0),
        magnitude=magnitude,
    )
    heard = np.random.default_rng(seed + 1)
    rng = np.random.default_rng(seed)
    columns: list[tuple[float, ...]] = []
    for a, b in [*combinations(range(speakers), 2), *[(i, i) for i in range(speakers)] * 30]:
        enrol_s, test_s = rng.choice([2.0, 4.0, 10.0]), rng.choice([1.0, 2.0, 3.0, 5.0])
        heard_db = np.where(heard.permutation(4)[:2] == 0, heard.uniform(-5, 20), 30.0)
        beyond = heard.normal(0, 0.1)
        usual = magnitude.usual + magnitude.slope * np.log(test_s) if magnitude else math.nan
        how = [*(heard_db if added else [math.nan] * 2), usual + beyond]
        worth = float(worth_s(true, test_s, how))
        mean = 6.0 * float(speech_gain(2.0, enrol_s, worth))
        target = a == b
        norm = rng.standard_normal() + (mean if target else 0)
        truth = mean * norm - mean**2 / 2
        columns.append((norm, enrol_s, test_s, float(target), a, b, truth, *how))
    norm, enrol_s, test_s, target, a, b, truth, *how = np.array(columns).T
    is_target = target > 0
    weight = np.where(is_target, 1 / is_target.sum(), 1 / (~is_target).sum())
    trials = ScoredTrials(
        norm=norm + shift,
        cosine=rng.uniform(-1, 1, len(norm)),
        enrol_s=enrol_s,
        test_s=test_s,
        label_s=test_s,
        degraded=np.zeros(len(norm), bool),
        target=is_target,
        weight=weight,
        speakers=np.stack([a, b], axis=1).astype(np.intp),
        source=np.zeros(len(norm), np.intp),
        heard=np.stack(how, axis=1),
    )
    return trials, truth


def test_the_fit_finds_the_true_ratios() -> None:
    trials, truth = simulated(1)
    found = ratios(fit(trials, raw_cosine=False).calibration, trials)
    clear = np.abs(truth) < 8  # where there are trials enough to tell
    assert np.corrcoef(found[clear], truth[clear])[0, 1] > 0.98
    assert np.mean(np.abs(found - truth)[clear]) < 0.6


def test_the_fit_finds_what_noise_and_rooms_take_from_the_worth_of_speech() -> None:
    trials, truth = simulated(1, speakers=90, added=(6.0, 2.0))
    calibration = fit(trials, raw_cosine=False).calibration
    snr, c50 = np.array(calibration.acoustics) / calibration.half_speech_s * 2.0
    assert 3.0 < snr < 12.0
    assert 0.4 < c50 < 4.0
    deaf = ScoredTrials(**{**_columns(trials), "heard": np.full_like(trials.heard, np.nan)})
    unheard = fit(deaf, raw_cosine=False).calibration
    assert unheard.acoustics == (0.0, 0.0)
    clear = (np.abs(truth) < 8) & (trials.heard[:, :2] < 5).any(axis=1)
    wrong, deafly = (
        float(np.mean(np.abs(ratios(one, some) - truth)[clear]))
        for one, some in ((calibration, trials), (unheard, deaf))
    )
    assert wrong < 0.7 * deafly


@pytest.mark.parametrize("weight", [0.0, 4.0])
def test_the_fit_finds_what_magnitudes_say_of_the_worth_of_speech(weight: float) -> None:
    true = MagnitudeFigures(usual=2.5, slope=-0.1, weight=weight)
    trials, truth = simulated(1, speakers=90, magnitude=true)
    calibration = fit(trials, raw_cosine=False).calibration
    found = calibration.magnitude
    assert found is not None
    assert found.usual == pytest.approx(true.usual, abs=0.01)
    assert found.slope == pytest.approx(true.slope, abs=0.01)
    assert abs(found.weight - weight) < 1.5
    assert calibration.acoustics == (0.0, 0.0)
    # And what it makes of ratios is as true for others.
    fresh, truth = simulated(3, speakers=90, magnitude=true)
    clear = np.abs(truth) < 8
    deaf = msgspec.structs.replace(calibration, magnitude=None)
    wrong, deafly = (
        float(np.mean(np.abs(ratios(one, fresh) - truth)[clear])) for one in (calibration, deaf)
    )
    assert wrong < 0.6
    assert (wrong < 0.9 * deafly) == (weight > 0)


def test_the_fit_holds_at_each_duration_for_other_speakers() -> None:
    calibration = fit(simulated(2)[0], raw_cosine=False).calibration
    fresh, truth = simulated(3, speakers=90)
    found = ratios(calibration, fresh)
    for seconds in (1.0, 2.0, 3.0, 5.0):
        rows = fresh.label_s == seconds
        figures = measure(found[rows], fresh.target[rows], is_llr=True)
        best = measure(truth[rows], fresh.target[rows], is_llr=True)
        assert figures["cllr"] < 1.1 * best["cllr"]
        assert figures["cllr"] < 1.2 * figures["min_cllr"]


def test_mislabelled_targets_are_found_and_do_not_make_the_ratios_timid() -> None:
    """A tenth of the target pairs of one of two sources are of two speakers in truth."""
    trials, truth = simulated(9, speakers=90)
    rng = np.random.default_rng(0)
    source = rng.integers(0, 2, len(trials.norm))
    wrong = trials.target & (source == 1) & (rng.random(len(trials.norm)) < 0.1)
    norm = np.where(wrong, rng.standard_normal(len(wrong)), trials.norm)
    noisy = ScoredTrials(**{**_columns(trials), "norm": norm, "source": source})
    found = fit(noisy, raw_cosine=False)
    assert found.mislabelled[0] < 0.02
    assert 0.07 < found.mislabelled[1] < 0.13
    believed = fit(ScoredTrials(**{**_columns(noisy), "source": 0 * source}), raw_cosine=False)
    assert 0.03 < believed.mislabelled[0] < 0.08  # one rate for both: the mean
    clear = (np.abs(truth) < 8) & ~wrong
    assert np.mean(np.abs(ratios(found.calibration, noisy) - truth)[clear]) < 0.6


def test_mislabelled_targets_do_not_make_noise_take_more_than_it_does() -> None:
    """A tenth of the target pairs are of two speakers in truth, in noise as elsewhere.

    What noise and rooms take is found as with labels that are right, to half of what they do, by
    two draws together, and by each to as much: a fit that believes these labels finds five to
    thirty times as much.
    """
    true, beyond = np.array([6.0, 2.0]) / 2.0, []
    for seed in (1, 9):
        trials, _ = simulated(seed, speakers=90, added=(6.0, 2.0))
        rng = np.random.default_rng(0)
        wrong = trials.target & (rng.random(len(trials.norm)) < 0.1)
        norm = np.where(wrong, rng.standard_normal(len(wrong)), trials.norm)
        mislabelled = ScoredTrials(**{**_columns(trials), "norm": norm})
        fitted = (fit(one, raw_cosine=False).calibration for one in (trials, mislabelled))
        rightly, found = (np.array(one.acoustics) / one.half_speech_s for one in fitted)
        beyond.append(found - rightly)
    assert np.all(np.abs(np.mean(beyond, axis=0)) < 0.5 * true)
    assert np.all(np.abs(beyond) < true)


def test_a_cosine_that_says_nothing_is_not_believed() -> None:
    calibration = fit(simulated(4)[0], raw_cosine=True).calibration
    assert max(calibration.cosine[0], sum(calibration.cosine)) < 0.5


def test_scores_that_mislead_still_give_a_rising_ratio() -> None:
    trials, _ = simulated(5)
    backwards = ScoredTrials(**{**_columns(trials), "norm": -trials.norm})
    calibration = fit(backwards, raw_cosine=False).calibration
    low, high = llr(calibration, np.array([-3.0, 3.0]), 0.0, 5.0, 0.5)
    assert high > low


def _columns(trials: ScoredTrials) -> dict[str, Any]:
    return {name: getattr(trials, name) for name in ScoredTrials.__slots__}


def test_cross_validation_sees_each_speaker_once_and_reports_durations() -> None:
    trials, truth = simulated(6)
    folds = deal_folds(range(60), np.random.default_rng(0))
    found = cross_validate(trials, folds, raw_cosine=False)
    cllr, rows = found.cllr, found.table
    assert [row["test_s"] for row in rows] == [1.0, 2.0, 3.0, 5.0]
    assert sum(row["targets"] for row in rows) == trials.target.sum()
    assert 0 < sum(row["nontargets"] for row in rows) < (~trials.target).sum()
    assert cllr < 1.25 * measure(truth, trials.target, is_llr=True)["cllr"]


def test_the_table_skips_what_cannot_be_measured() -> None:
    trials, truth = simulated(7, speakers=12)
    only_targets = trials.target | (trials.label_s != 1.0)
    kept = trials.where(only_targets)
    assert [row["test_s"] for row in table(truth[only_targets], kept)] == [2.0, 3.0, 5.0]


def test_folds_keep_small_groups_whole_and_divide_a_large_one() -> None:
    groups = ["large"] * 40 + [f"small {i // 3}" for i in range(60)]
    folds = deal_folds(groups, np.random.default_rng(1))
    sizes = np.bincount(folds)
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() <= 3
    assert set(folds[:40]) == set(range(5))
    assert all(len(set(folds[i : i + 3])) == 1 for i in range(40, 100, 3))


def test_no_fold_is_fitted_on_the_speakers_it_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    trials, _ = simulated(8, speakers=20)
    folds = deal_folds(range(20), np.random.default_rng(0))
    seen: list[set[int]] = []

    def spy(part: ScoredTrials, *, raw_cosine: bool) -> Fitted:
        seen.append(set(part.speakers.flat))
        return Fitted(Calibration(half_speech_s=1.0, slope=(1.0, 0.0), offset=(0, 0, 0)), (0.01,))

    monkeypatch.setattr(ratio_fit, "fit", spy)
    cross_validate(trials, folds, raw_cosine=False)
    assert seen == [set(np.flatnonzero(folds != k)) for k in range(5)]
