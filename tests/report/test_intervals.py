"""Intervals against scipy, closed forms, and the share of simulated truths that they hold."""

import math

import numpy as np
import pytest
from scipy import stats

from harness.report.intervals import (
    Interval,
    components,
    deviation,
    independent_noise,
    middle_mean,
    paired_noise,
)

TRIALS = 2000
CHANCE = 4 * math.sqrt(0.95 * 0.05 / TRIALS)
"""Four standard errors of the share of intervals of 95 % that hold the truth."""


def held(intervals, truth):
    return np.mean([interval.low <= truth <= interval.high for interval in intervals])


def measured(rng, shape, training, evaluation, together=0.0):
    """ASK values: arms share their seed's training, and ``together`` of evaluation's variance."""
    _, seeds, sets = shape
    common = rng.normal(size=(1, seeds, sets)) * math.sqrt(together)
    own = rng.normal(size=shape) * math.sqrt(1 - together)
    return 5 + training * rng.normal(size=(1, seeds, 1)) + evaluation * (common + own)


def test_the_middle_mean_is_scipy_s_trimmed_mean():
    rng = np.random.default_rng(0)
    for n in (10, 11, 13, 40):
        values = rng.normal(size=n)
        assert middle_mean([values]).value == pytest.approx(stats.trim_mean(values, 0.25))
    strata = [rng.normal(size=10), rng.normal(5, 1, size=12)]
    expected = stats.trim_mean(np.concatenate(strata), 0.25)
    assert middle_mean(strata).value == pytest.approx(expected)


def test_its_bootstrap_is_scipy_s():
    values = np.random.default_rng(1).gamma(2, size=20)
    theirs = stats.bootstrap(
        (values,),
        lambda x, axis: stats.trim_mean(x, 0.25, axis=axis),
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    ours = middle_mean([values])
    width = theirs.high - theirs.low
    assert abs(ours.low - theirs.low) < 0.05 * width
    assert abs(ours.high - theirs.high) < 0.05 * width
    assert ours == middle_mean([values])  # by one fixed stream


def test_strata_are_drawn_from_each_by_itself():
    """Two strata far apart: how many seeds each has is no matter of chance."""
    rng = np.random.default_rng(3)
    low, high = rng.normal(0, 1, 12), rng.normal(100, 1, 12)
    apart, mixed = middle_mean([low, high]), middle_mean([np.concatenate([low, high])])
    assert mixed.high - mixed.low > 10 * (apart.high - apart.low)


def test_the_bootstrap_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(4)
    found = [middle_mean([rng.normal(size=30)]) for _ in range(500)]
    assert 0.89 < held(found, 0.0) <= 0.97  # a percentile interval is a little narrow


def test_a_deviation_has_the_chi_square_interval():
    values = np.random.default_rng(5).normal(2, 3, 8)
    found = deviation(values.var(ddof=1), 7)
    low, high = stats.chi2.ppf([0.025, 0.975], 7)
    assert found.value == pytest.approx(values.std(ddof=1))
    assert found.low == pytest.approx(math.sqrt(7 * values.var(ddof=1) / high))
    assert found.high == pytest.approx(math.sqrt(7 * values.var(ddof=1) / low))


def test_components_in_closed_form():
    """Two seeds of two sets: means 2 and 6, each 1 from its own."""
    found = components([np.array([[[1.0, 3.0], [5.0, 7.0]]])])
    assert found.evaluation.value == pytest.approx(math.sqrt(2))
    assert found.total.value == pytest.approx(math.sqrt(16 / 2 + 2 / 2))  # B = 2 * 8
    assert found.training == pytest.approx(math.sqrt(9 - 2))
    assert found.share.value == pytest.approx(2 / 9)
    assert (found.sets, found.runs) == (2, 2)


def test_components_are_those_of_scipy_s_analysis_of_variance():
    rng = np.random.default_rng(6)
    values = measured(rng, (1, 5, 4), 1.0, 0.7)
    found = components([values])
    ratio = stats.f_oneway(*values[0]).statistic
    assert found.share.value == pytest.approx(1 / (1 + (ratio - 1) / 4))
    limits = [ratio / stats.f.ppf(p, 4, 15) for p in (0.025, 0.975)]
    shares = [1 / (1 + max(0, limit - 1) / 4) for limit in limits]
    assert (found.share.low, found.share.high) == pytest.approx(tuple(shares))


def test_arms_and_levels_are_pooled_and_only_runs_are_evidence():
    rng = np.random.default_rng(7)
    one = measured(rng, (1, 3, 3), 1.0, 0.5)
    twice = components([np.concatenate([one, one])])
    assert twice == components([one])  # a copy adds nothing
    levels = components([one, one])
    assert levels.runs == 6
    assert levels.evaluation.value == pytest.approx(twice.evaluation.value)
    assert levels.evaluation.high < twice.evaluation.high


@pytest.mark.parametrize(("training", "evaluation"), [(1.0, 0.3), (0.5, 0.5), (0.2, 1.0)])
def test_intervals_of_the_components_hold_the_truth(training, evaluation):
    rng = np.random.default_rng(8)
    found = [components([measured(rng, (1, 4, 3), training, evaluation)]) for _ in range(TRIALS)]
    total = math.hypot(training, evaluation)
    assert abs(held([f.evaluation for f in found], evaluation) - 0.95) < CHANCE
    assert abs(held([f.share for f in found], evaluation**2 / total**2) - 0.95) < CHANCE
    # Graybill and Wang's is an approximation.
    assert abs(held([f.total for f in found], total) - 0.95) < CHANCE + 0.01
    squares = np.mean([[f.evaluation.value**2, f.total.value**2] for f in found], axis=0)
    assert squares == pytest.approx([evaluation**2, total**2], rel=0.1)


@pytest.mark.parametrize(("together", "exact"), [(1.0, True), (0.5, False), (0.0, False)])
def test_arms_that_share_latents_are_not_taken_for_more_evidence(together, exact):
    rng = np.random.default_rng(9)
    found = [
        components([measured(rng, (6, 3, 3), 1.0, 0.5, together)]).evaluation for _ in range(TRIALS)
    ]
    share = held(found, 0.5)
    assert abs(share - 0.95) < CHANCE if exact else share > 0.95 + CHANCE / 2


def test_one_seed_says_nothing_of_training():
    found = components([np.array([[[1.0, 2.0, 3.0]]])])
    assert found.evaluation.value == 1.0
    assert (found.total, found.share, found.training) == (None, None, None)
    assert (found.sets, found.runs) == (3, 1)


def test_no_noise_and_no_spread_at_all():
    exact = components([np.array([[[1.0, 1.0], [2.0, 2.0]]])])
    assert exact.evaluation == Interval(0.0, 0.0, 0.0)
    assert exact.share == Interval(0.0, 0.0, 0.0)
    still = components([np.ones((2, 3, 2))])
    assert still.total == Interval(0.0, 0.0, 0.0)
    assert still.share is None
    noisy = components([np.array([[[1.0, 3.0], [1.0, 3.0]]])])
    assert (noisy.training, noisy.share.value) == (0.0, 1.0)


def test_values_that_are_not_finite_stay_visible_and_raise_nothing():
    found = components([np.array([[[1.0, math.inf], [2.0, 3.0]]])])
    assert not math.isfinite(found.evaluation.value)


def test_noise_of_a_paired_difference_leaves_out_what_both_share():
    rng = np.random.default_rng(10)
    common = rng.normal(size=(3, 3))
    ours, theirs = 5 + common, 4 + common
    assert paired_noise(ours, theirs) == 0.0
    assert independent_noise([ours, theirs]) > 0.3
    difference = rng.normal(size=(3, 3))
    width = stats.t.ppf(0.975, 6) * math.sqrt(difference.var(axis=1, ddof=1).mean() / 3)
    assert paired_noise(ours + difference, ours) == pytest.approx(width)


@pytest.mark.parametrize("seeds", [(3, 3), (2, 5)])
def test_noise_of_differences_holds_what_fresh_latents_do(seeds):
    """The mean difference on one set of latents, against what it is on average over latents."""
    rng = np.random.default_rng(11)
    held_by = []
    for _ in range(TRIALS):
        groups = [
            measured(rng, (1, n, 4), 1.0, s)[0] for n, s in zip(seeds, (0.4, 0.6), strict=True)
        ]
        weights = [
            measured(rng, (1, n, 1), 0.0, s)[0] for n, s in zip(seeds, (0.4, 0.6), strict=True)
        ]
        moved = (weights[0] - 5).mean() - (weights[1] - 5).mean()
        held_by.append(abs(moved) <= independent_noise(groups))
    assert abs(np.mean(held_by) - 0.95) < CHANCE + 0.005
