import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import quad
from scipy.optimize import isotonic_regression
from scipy.stats import norm

from models import metrics

few_examples = settings(max_examples=40)
METRICS = {*metrics.ORDER_METRICS, *metrics.LLR_METRICS}


def gaussian_llrs(separation, trials, seed=0):
    """LLRs of N(+-separation / 2, 1) with equal variances: the LLR is separation times x."""
    rng = np.random.default_rng(seed)
    target = np.arange(trials) % 2 == 0
    x = rng.standard_normal(trials) + np.where(target, 0.5, -0.5) * separation
    return separation * x, target


@pytest.mark.parametrize("separation", [1.0, 2.0, 3.5])
def test_gaussian_scores_reach_their_closed_forms(separation):
    llr, target = gaussian_llrs(separation, 200_000)
    values = metrics.measure(llr, target, is_llr=True)
    assert values["eer"] == pytest.approx(norm.cdf(-separation / 2), abs=0.003)
    # The LLR of a target is normal, mean separation^2 / 2 and deviation separation.
    mean, deviation = separation**2 / 2, separation
    bits, _ = quad(lambda z: np.logaddexp(0, -(mean + deviation * z)) * norm.pdf(z), -9, 9)
    assert values["cllr"] == pytest.approx(bits / np.log(2), abs=0.006)
    assert values["min_cllr"] == pytest.approx(values["cllr"], abs=0.002)
    for name, p in metrics.P_TARGETS.items():
        threshold = np.log((1 - p) / p)
        miss = norm.cdf(threshold, mean, deviation)
        false_alarm = norm.sf(threshold, -mean, deviation)
        cost = (p * miss + (1 - p) * false_alarm) / p
        assert values[f"act_dcf_{name}"] == pytest.approx(cost, abs=0.04)
        # Calibrated scores are best where theory says, but for a few trials in the tail.
        assert values[f"min_dcf_{name}"] == pytest.approx(min(cost, 1), abs=0.04)


def test_small_example_by_hand():
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    target = np.array([False, False, True, False, True, True])
    # Between 0.3 and 0.4 nothing but one non-target is above: miss 1/3, false alarms 1/3.
    assert metrics.measure(scores, target, is_llr=False)["eer"] == pytest.approx(1 / 3)
    # Best at 0.05: reject all but two targets, 0.05 * 1/3 / 0.05.
    values = metrics.measure(scores, target, is_llr=False)
    assert values["min_dcf_05"] == pytest.approx(1 / 3)
    # PAV: (0, 0), (1, 0), (1, 1); the mixed block costs log2(1 + 1) a trial on either side.
    assert values["min_cllr"] == pytest.approx((1 / 3 + 1 / 3) / 2)


def test_eer_interpolates_between_thresholds():
    # Past the one target, misses go from 0 to 1 while false alarms stay at one half.
    scores = np.array([0.0, 1.0, 2.0])
    target = np.array([False, True, False])
    assert metrics.measure(scores, target, is_llr=False)["eer"] == pytest.approx(0.5)
    # Equal scores are one threshold: straight from (0, 1) to (1, 0), crossing at one half.
    assert metrics.measure(np.zeros(8), np.arange(8) < 2, is_llr=False)["eer"] == pytest.approx(0.5)


def test_actual_cost_and_cllr_by_hand():
    llr = np.array([5.0, 1.0, -5.0, 4.0])
    target = np.array([True, True, False, False])
    values = metrics.measure(llr, target, is_llr=True)
    # The threshold at 0.05 is log 19 = 2.94: one miss of two, one false alarm of two.
    assert values["act_dcf_05"] == pytest.approx((0.05 * 0.5 + 0.95 * 0.5) / 0.05)
    # At 0.01 it is log 99 = 4.6: the false alarm is gone.
    assert values["act_dcf_01"] == pytest.approx(0.5)
    bits = [np.log2(1 + np.exp(x)) for x in (-5, -1, -5, 4)]
    assert values["cllr"] == pytest.approx(sum(bits) / 4)
    assert metrics.measure(np.zeros(4), target, is_llr=True)["cllr"] == pytest.approx(1)


def test_separated_scores_cost_nothing_and_reversed_ones_no_more_than_a_coin():
    scores, target = np.arange(10.0), np.arange(10) >= 5
    best = metrics.measure(scores, target, is_llr=False)
    assert set(best.values()) == {0.0}
    worst = metrics.measure(-scores, target, is_llr=False)
    assert worst == pytest.approx(
        {"eer": 1.0, "min_dcf_05": 1.0, "min_dcf_01": 1.0, "min_cllr": 1.0}
    )


def test_what_cannot_be_measured_is_refused():
    both = np.array([True, False])
    for scores, target in (
        (np.zeros(2), np.array([True, True])),
        (np.zeros(2), np.array([False, False])),
        (np.array([0, np.nan]), both),
        (np.array([0, np.inf]), both),
        (np.zeros(3), both),
        (np.zeros((2, 1)), both),
    ):
        with pytest.raises(ValueError, match=r"must|needed"):
            metrics.measure(scores, target, is_llr=False)


@st.composite
def trials(draw):
    # Few distinct values, so that ties and runs of all kinds occur.
    scores = draw(st.lists(st.integers(-6, 6), min_size=2, max_size=40))
    target = draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    target[0], target[1] = True, False
    return np.array(scores, float) / 2, np.array(target)


@few_examples
@given(trials())
def test_order_metrics_agree_with_direct_computation(case):
    scores, target = case
    values = metrics.measure(scores, target, is_llr=True)
    thresholds = np.append(np.unique(scores), np.inf)
    miss = np.array([np.mean(scores[target] < t) for t in thresholds])
    false_alarm = np.array([np.mean(scores[~target] >= t) for t in thresholds])
    for name, p in metrics.P_TARGETS.items():
        cost = (p * miss + (1 - p) * false_alarm).min() / p
        assert values[f"min_dcf_{name}"] == pytest.approx(cost)
    # The EER lies on the straight line between two thresholds of the full curve.
    at = int(np.argmax(miss >= false_alarm))
    before, after = false_alarm[at - 1] - miss[at - 1], miss[at] - false_alarm[at]
    expected = miss[at - 1] + (miss[at] - miss[at - 1]) * before / (before + after)
    assert values["eer"] == pytest.approx(expected)


@few_examples
@given(trials())
def test_min_cllr_is_that_of_the_best_monotone_rescoring(case):
    scores, target = case
    values = metrics.measure(scores, target, is_llr=True)
    _, group = np.unique(scores, return_inverse=True)
    size = np.bincount(group)
    share = np.bincount(group, weights=target) / size
    fitted = isotonic_regression(share, weights=size).x[group]
    prior = np.log(target.mean() / (1 - target.mean()))
    with np.errstate(divide="ignore"):
        best = np.log(fitted / (1 - fitted)) - prior
    cost_target = np.logaddexp(0, -best[target]).mean()
    cost_nontarget = np.logaddexp(0, best[~target]).mean()
    assert values["min_cllr"] == pytest.approx((cost_target + cost_nontarget) / 2 / np.log(2))
    assert values["min_cllr"] <= min(values["cllr"], 1) + 1e-12
    for rescored in (3 * scores - 7, np.exp(scores)):
        again = metrics.measure(rescored, target, is_llr=False)
        assert again["min_cllr"] == pytest.approx(values["min_cllr"])
        assert again["eer"] == pytest.approx(values["eer"])


sequences = st.integers(1, 60).flatmap(
    lambda n: st.tuples(
        arrays(float, n, elements=st.floats(-100, 100)),
        arrays(float, n, elements=st.floats(0.01, 50)),
    )
)


@few_examples
@given(sequences)
def test_isotonic_is_the_weighted_projection(case):
    values, weights = case
    fitted = metrics.isotonic(values, weights)
    assert np.all(np.diff(fitted) >= 0)
    assert np.sum(weights * fitted) == pytest.approx(np.sum(weights * values), abs=1e-6)
    assert metrics.isotonic(fitted, weights) == pytest.approx(fitted, abs=1e-9)
    reference = isotonic_regression(values, weights=weights).x
    assert fitted == pytest.approx(reference, abs=1e-7)


def test_isotonic_never_falls_by_rounding():
    weights = np.full(28, 12.31958291)
    weights[[1, 14]] = 1
    fitted = metrics.isotonic(np.full(28, 3.0), weights)
    assert np.all(np.diff(fitted) >= 0)
    assert fitted == pytest.approx(np.full(28, 3.0))


def test_isotonic_by_hand_and_its_limits():
    assert metrics.isotonic(np.array([1.0, 3.0, 2.0, 4.0])).tolist() == [1, 2.5, 2.5, 4]
    assert metrics.isotonic(np.array([3.0, 1.0]), np.array([1.0, 3.0])).tolist() == [1.5, 1.5]
    assert metrics.isotonic(np.empty(0)).size == 0
    rising = np.append(np.arange(500.0), -1e6)  # every pass of pooling gives one more violation
    assert metrics.isotonic(rising) == pytest.approx(np.full(501, rising.mean()))
    with pytest.raises(ValueError, match="positive"):
        metrics.isotonic(np.zeros(2), np.zeros(2))


def test_det_curve_runs_from_all_accepted_to_none():
    scores, target = gaussian_llrs(2.0, 500)
    curve = metrics.det_curve(scores, target)
    assert (curve.miss[0, 0], curve.false_alarm[0, 0]) == (0, 1)
    assert (curve.miss[0, -1], curve.false_alarm[0, -1]) == (1, 0)
    assert np.all(np.diff(curve.miss[0]) >= 0)
    assert np.all(np.diff(curve.false_alarm[0]) <= 0)
    for k in (1, len(curve.threshold) // 2):
        assert curve.miss[0, k] == np.mean(scores[target] < curve.threshold[k])
        assert curve.false_alarm[0, k] == np.mean(scores[~target] >= curve.threshold[k])
    twice = metrics.det_curve(np.repeat(scores, 2), np.repeat(target, 2))
    weighted = metrics.det_curve(scores, target, np.full(len(scores), 2.0))
    assert weighted.miss == pytest.approx(twice.miss)


def speaker_trials(speakers=8, seed=1):
    """Every pair of 2 recordings a speaker, with LLRs that depend on the speaker."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(speakers), 2)
    left, right = np.triu_indices(len(owner), 1)
    sides = np.stack([owner[left], owner[right]], axis=1)
    target = sides[:, 0] == sides[:, 1]
    llr = rng.normal(np.where(target, 1.5, -1.5), 2) + rng.normal(0, 1, speakers)[sides[:, 0]]
    return llr, target, sides


def test_bootstrap_weighs_trials_as_often_as_their_speakers_were_drawn(monkeypatch):
    llr, target, sides = speaker_trials()
    count = np.array([2, 0, 1, 3, 1, 0, 1, 0])
    monkeypatch.setattr(metrics, "draw_speakers", lambda *_: count[None].astype(float))
    drawn = metrics.bootstrap(llr, target, sides, is_llr=True, resamples=1, seed=0)
    times = np.where(target, count[sides[:, 0]], count[sides[:, 0]] * count[sides[:, 1]])
    expected = metrics.measure(np.repeat(llr, times), np.repeat(target, times), is_llr=True)
    assert {name: value[0] for name, value in drawn.items()} == pytest.approx(expected)
    assert set(drawn) == METRICS


def test_bootstrap_is_decided_by_its_seed_alone():
    llr, target, sides = speaker_trials()
    options = {"is_llr": True, "resamples": 70}
    first = metrics.bootstrap(llr, target, sides, seed=5, **options)
    again = metrics.bootstrap(llr, target, sides, seed=5, **options)
    other = metrics.bootstrap(llr, target, sides, seed=6, **options)
    for name in METRICS:
        assert first[name].shape == (70,)
        assert np.array_equal(first[name], again[name], equal_nan=True)
    assert not np.array_equal(first["eer"], other["eer"], equal_nan=True)
    # Other names for the same speakers, other scores in the same order: the same draws.
    renamed = metrics.bootstrap(3 * llr, target, sides * 10 + 3, seed=5, **options)
    assert renamed["eer"] == pytest.approx(first["eer"], nan_ok=True)
    assert metrics.bootstrap(llr, target, sides, seed=5, is_llr=True, resamples=0) == {}


def test_bootstrap_interval_covers_the_estimate_and_knows_of_empty_draws():
    llr, target, sides = speaker_trials(speakers=30)
    eer = metrics.measure(llr, target, is_llr=True)["eer"]
    drawn = metrics.bootstrap(llr, target, sides, is_llr=True, resamples=300, seed=0)["eer"]
    low, high = metrics.interval(drawn)
    assert low < eer < high
    assert low == pytest.approx(np.quantile(drawn, 0.025))
    # Two speakers: a draw of one of them twice leaves no non-target trial.
    scores, target = np.array([0.0, 1.0, 2.0]), np.array([True, True, False])
    sides = np.array([[0, 0], [1, 1], [0, 1]])
    drawn = metrics.bootstrap(scores, target, sides, is_llr=True, resamples=64, seed=0)
    for name in METRICS:
        assert 0 < np.isnan(drawn[name]).sum() < 64
        assert np.isfinite(metrics.interval(drawn[name])).all()
    assert np.isnan(metrics.interval(np.full(3, np.nan))).all()


def test_a_weight_is_as_good_as_so_many_trials():
    rng = np.random.default_rng(5)
    scores, target = rng.standard_normal(60).round(1), rng.random(60) < 0.4
    count = rng.integers(1, 5, 60)
    many = metrics.measure(np.repeat(scores, count), np.repeat(target, count), is_llr=True)
    assert metrics.measure(scores, target, is_llr=True, weights=count) == pytest.approx(many)
    scaled = metrics.measure(scores, target, is_llr=True, weights=count / 7.3)
    assert scaled == pytest.approx(many)
