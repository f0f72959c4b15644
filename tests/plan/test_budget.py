"""How a calibration's time is divided."""

import pytest
from small_spec import larger, spec
from tiny import ROOT

from harness.plan.budget import blocks, next_step_sec, shares
from harness.plan.work import training_macs
from harness.spec.load import load

LAZY = ROOT / "experiments" / "stylegan2-ema.yaml"


def test_shares_are_of_every_part_and_add_up():
    found = shares(spec(train__kimg=10))
    steps = {("step", 4, False), ("step", 8, True), ("step", 8, False)}
    assert found.keys() == {*steps, ("pass", 8, False)}
    assert sum(found.values()) == pytest.approx(1)


def test_half_is_alike_and_half_by_what_a_run_does():
    found = shares(spec(train__kimg=1000, evaluate__every_kimg=500))
    assert min(found.values()) >= 0.5 / len(found)
    assert found["step", 8, False] > 0.5


@pytest.mark.parametrize(
    ("step", "sec", "steps"), [(0.01, 10, 8), (1.0, 30, 8), (1.0, 9, 3), (5.0, 3, 1), (0.0, 1, 8)]
)
def test_blocks_shrink_where_steps_are_long(step, sec, steps):
    found = blocks(spec(), step, sec)
    assert (found.steps, found.whole) == (steps, True)


@pytest.mark.parametrize(
    ("step", "sec", "steps", "whole"),
    [(0.01, 10, 16, True), (1.0, 30, 16, True), (1.0, 12, 4, False), (9.0, 3, 1, False)],
)
def test_blocks_have_every_kind_of_step_as_long_as_that_can_be(step, sec, steps, whole):
    found = blocks(load(LAZY), step, sec)
    assert (found.steps, found.whole) == (steps, whole)


def test_a_larger_scale_is_expected_to_take_as_much_longer_as_it_computes():
    described = larger()
    ratio = training_macs(described, 16) / training_macs(described, 8)
    assert next_step_sec(described, 2.0, 8, 16) == pytest.approx(2 * ratio)
    assert next_step_sec(described, 2.0, 16, 8) == 2.0
