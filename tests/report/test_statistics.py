import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from harness.report.statistics import (
    Difference,
    detectable,
    holm,
    judged,
    paired,
    satterthwaite,
    sentence,
    spread,
    t_quantile,
    welch,
)

OURS, RAW = [9.0, 7.75, 6.5], [12.0, 11.0, 10.0]


def test_spread_in_closed_form():
    found = spread([5.0, 1.0, 3.0, 7.0])
    assert (found.n, found.median, found.low, found.high, found.mean) == (4, 4.0, 1.0, 7.0, 4.0)


def test_mean_of_equal_values_stays_between_them():
    assert spread([0.1] * 3).mean == 0.1


def test_paired_interval_in_closed_form():
    found = paired(OURS, RAW)  # differences -3, -3.25, -3.5: s.d. 1/4
    assert found.value == -3.25
    assert found.half_width == pytest.approx(4.302652729911275 * 0.25 / math.sqrt(3))
    assert (found.seeds, found.paired, found.told_apart) == ((3, 3), True, True)


def test_paired_agrees_with_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(3, 1, 5), rng.normal(2, 2, 5)
    found, theirs = paired(a, b), stats.ttest_rel(a, b)
    low, high = theirs.confidence_interval(0.95)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-12)
    assert found.value == pytest.approx((low + high) / 2)
    assert found.half_width == pytest.approx((high - low) / 2)


def test_welch_agrees_with_scipy_for_unequal_numbers():
    rng = np.random.default_rng(1)
    a, b = rng.normal(3, 1, 5), rng.normal(2, 2, 3)
    found, theirs = welch(a, b), stats.ttest_ind(a, b, equal_var=False)
    low, high = theirs.confidence_interval(0.95)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-12)
    assert found.half_width == pytest.approx((high - low) / 2)
    assert (found.seeds, found.paired) == ((5, 3), False)


def test_t_quantile_of_one_degree_is_the_tangent():
    assert t_quantile(1, 0.99) == pytest.approx(math.tan(math.pi * 0.99 / 2))


@pytest.mark.parametrize("compare", [paired, welch])
def test_one_seed_has_a_difference_but_no_interval(compare):
    found = compare([1.0], [3.0])
    assert (found.value, found.half_width, found.p, found.told_apart) == (-2.0, None, None, False)


@pytest.mark.parametrize("compare", [paired, welch])
def test_equal_values_are_not_told_apart(compare):
    found = compare([0.1, 0.1, 0.1], [0.1, 0.1, 0.1])
    assert (found.value, found.half_width, found.p, found.told_apart) == (0.0, 0.0, 1.0, False)


def test_rounding_is_no_variation_between_seeds():
    ours = [0.1 + 0.2, 1.1 + 0.2, 2.1 + 0.2]  # 0.2 higher but for the last bit
    found = paired(ours, [0.1, 1.1, 2.1])
    assert (found.half_width, found.p) == (0.0, 0.0)
    assert welch([0.1] * 3, [0.1] * 2).value == 0.0


def test_values_that_are_not_finite_give_no_interval():
    found = paired([math.nan, 1.0], [1.0, 2.0])
    assert (found.half_width, found.p) == (None, None)
    assert sentence(found, "raw") == "cannot be compared with raw: a value is not finite"


def test_holm_in_closed_form():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_holm_leaves_out_what_is_no_comparison():
    assert holm([None, 0.6, 0.5, None]) == [None, 1.0, 1.0, None]


def test_holm_claims_falsely_at_most_once_in_twenty_families():
    """Nine arms that are all as raw is, compared over five seeds, 4000 times."""
    rng = np.random.default_rng(2)
    trials = 4000
    raw, arms = rng.normal(size=(trials, 1, 5)), rng.normal(size=(trials, 9, 5))
    p = stats.ttest_rel(arms, raw, axis=2).pvalue  # nine that share raw, and so depend
    wrong = sum(min(holm(family)) < 0.05 for family in p.tolist())
    alone = sum(p.min(axis=1) < 0.05)
    error = 3 * math.sqrt(0.05 * 0.95 / trials)
    assert 0.01 < wrong / trials < 0.05 + error
    assert alone / trials > 0.15  # so that the correction has something to do


@pytest.mark.parametrize("compare", [paired, welch])
def test_intervals_hold_the_truth_as_often_as_they_say(compare):
    rng = np.random.default_rng(3)
    trials = 4000
    held = 0
    for _ in range(trials):
        found = compare(rng.normal(2, 1, 4), rng.normal(0, 1, 4))
        held += abs(found.value - 2) <= found.half_width
    # Welch's degrees of freedom are an approximation.
    slack = 0.0 if compare is paired else 0.015
    assert abs(held / trials - 0.95) < 3 * math.sqrt(0.05 * 0.95 / trials) + slack


def test_satterthwaite_in_closed_form():
    assert satterthwaite([(2.0, 4), (2.0, 4)]) == pytest.approx(8)
    assert satterthwaite([(2.0, 4), (0.0, 9)]) == pytest.approx(4)
    assert satterthwaite([(0.0, 4), (0.0, 9)]) == 1.0


@pytest.mark.parametrize("freedom", [1, 2, 4.4, 20])
def test_a_detectable_difference_is_shown_four_times_in_five(freedom):
    least = detectable(freedom, 0.5) / 0.5
    limit = stats.t.ppf(0.975, freedom)
    assert stats.nct.sf(limit, freedom, least) == pytest.approx(0.8, abs=1e-6)
    assert least > limit


def test_a_detectable_difference_is_shown_so_often_in_simulation():
    rng = np.random.default_rng(4)
    true = detectable(3, 1 / math.sqrt(4))  # of four seeds whose differences have an s.d. of 1
    shown = np.mean([paired(true + rng.normal(size=4), [0.0] * 4).told_apart for _ in range(4000)])
    assert abs(shown - 0.8) < 3 * math.sqrt(0.16 / 4000)
    assert paired(OURS, RAW).detectable == pytest.approx(detectable(2, 0.25 / math.sqrt(3)))


def test_a_sentence_says_when_fresh_latents_move_as_much():
    found = difference(-0.3, 0.2)
    assert "fresh latents" not in sentence(found, "raw")
    below, above = replace(found, noise=0.41), replace(found, noise=0.29)
    assert sentence(below, "raw").endswith(
        "(95 % t interval): holds; it is less than fresh latents alone move it by (± 0.41)"
    )
    assert "fresh latents" not in sentence(above, "raw")
    apart = replace(difference(-0.3, 0.9, detectable=1.44), noise=0.41)
    assert sentence(apart, "raw").endswith(
        "-0.30 ± 0.90; these seeds could show 0.90 or more, and would show a true 1.44 "
        "four times in five); it is "
        "less than fresh latents alone move it by (± 0.41)"
    )


def test_judged_counts_its_family():
    alone = judged([None, paired(OURS, RAW)])
    assert alone[0] is None
    assert (alone[1].family, alone[1].p_holm) == (1, alone[1].difference.p)


def difference(value, half_width, p=0.01, paired=True, seeds=(3, 3), detectable=None):
    return Difference(value, half_width, p, seeds, paired, detectable)


@pytest.mark.parametrize(
    ("found", "p_holm", "family", "said"),
    [
        (
            difference(-3.123, 0.812),
            None,
            1,
            "lower by 3.12 ± 0.81 than raw over 3 seeds, paired (95 % t interval): holds",
        ),
        (
            difference(3.123, 0.812, paired=False, seeds=(3, 2)),
            0.02,
            4,
            "higher by 3.12 ± 0.81 than raw over 3 and 2 seeds, Welch (95 % t interval): holds, "
            "also after Holm's correction over 4 comparisons (p = 0.02)",
        ),
        (
            difference(-3.123, 0.812),
            0.06,
            4,
            "lower by 3.12 ± 0.81 than raw over 3 seeds, paired (95 % t interval): holds by "
            "itself, but not after Holm's correction over 4 comparisons (p = 0.06)",
        ),
        (
            difference(-0.3, 0.94),
            0.5,
            4,
            "cannot be told apart from raw over 3 seeds, paired (95 % t interval of the "
            "difference: -0.30 ± 0.94; these seeds could show 0.94 or more)",
        ),
        (
            difference(-0.3, None, None, seeds=(1, 1)),
            None,
            1,
            "lower by 0.300 than raw over 1 seed, paired: not shown, as one seed gives no interval",
        ),
    ],
)
def test_sentences(found, p_holm, family, said):
    assert sentence(found, "raw", p_holm, family) == said
