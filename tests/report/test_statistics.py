import math

import numpy as np
import pytest
from scipy import stats

from harness.report.statistics import (
    Difference,
    holm,
    judged,
    paired,
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


def test_judged_counts_its_family():
    alone = judged([None, paired(OURS, RAW)])
    assert alone[0] is None
    assert (alone[1].family, alone[1].p_holm) == (1, alone[1].difference.p)


def difference(value, half_width, p=0.01, paired=True, seeds=(3, 3)):
    return Difference(value, half_width, p, seeds, paired)


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
