"""Intervals go end by end, and those of measurements reach as far as is stated."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.plan.estimate import LEAST_SHARE, NOTHING, Estimate, largest, total

SECONDS = st.floats(0, 1e6)
ESTIMATES = st.lists(SECONDS, min_size=3, max_size=3).map(lambda ends: in_order(*sorted(ends)))


def in_order(low, value, high):
    return Estimate(value, low, high)


def ends(amount):
    return amount.value, amount.low, amount.high


def test_sums_and_products_go_end_by_end():
    a, b = Estimate(2.0, 1.0, 5.0), Estimate(10.0, 7.0, 11.0)
    assert ends(a + b) == (12, 8, 16)
    assert ends(a * 3) == (6, 3, 15)
    assert ends(a.times(b)) == (20, 7, 55)
    assert ends(total([a, b, a])) == (14, 9, 21)
    assert ends(largest([a, b])) == (10, 7, 11)
    assert total([]) == NOTHING == Estimate(0, 0, 0)


def test_a_guess_reaches_as_far_up_as_down():
    assert ends(Estimate.within(6.0, 3)) == (6, 2, 18)
    assert ends(Estimate.exactly(4.0)) == (4, 4, 4)


def test_measurements_give_their_mean_and_their_extremes():
    assert ends(Estimate.of([1.0, 2.0, 6.0])) == (3, 1, 6)


def test_of_twenty_measurements_the_outermost_on_each_side_is_left_out():
    found = Estimate.of([100.0, *[50.0] * 9, *[70.0] * 9, 1.0])
    assert ends(found) == (pytest.approx((100 + 450 + 630 + 1) / 20), 50, 70)
    assert Estimate.of([float(n) for n in range(40)]).low == 2
    assert Estimate.of([float(n) for n in range(40)]).high == 37


def test_equal_measurements_are_uncertain_all_the_same():
    found = Estimate.of([5.0] * 8)
    assert LEAST_SHARE == 0.1
    assert ends(found) == (5, pytest.approx(4.5), pytest.approx(5.5))
    wide = Estimate(5.0, 1.0, 9.0)
    assert wide.at_least(0.1) == wide


@given(st.lists(ESTIMATES, max_size=5), st.floats(0, 1e3))
def test_the_value_stays_inside(parts, factor):
    for found in (total(parts), total(parts) * factor, *(part.at_least(0.1) for part in parts)):
        assert found.low <= found.value <= found.high
        assert found.contains(found.value)


@given(st.lists(SECONDS.filter(bool), min_size=1, max_size=60))
def test_a_mean_lies_in_its_interval(samples):
    found = Estimate.of(samples)
    assert found.low <= found.value <= found.high
    assert math.isclose(found.value, math.fsum(samples) / len(samples))
    assert not found.contains(2 * max(samples) + 1)
    assert all(a <= b for a, b in pairwise([found.low, found.value, found.high]))
