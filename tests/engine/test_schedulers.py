"""The schedulers against torch's own; R-numbers are the faults they must not have."""

import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim.lr_scheduler import LinearLR as LinearLRofTorch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from harness.engine.schedulers import LinearLrInterval, ReduceLR
from harness.registry import register_all


def sgd(*rates):
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in rates or (0.1,)]
    return torch.optim.SGD(groups)


def rates(optimizer):
    return [group["lr"] for group in optimizer.param_groups]


# Thresholds are powers of two, so that both ways to compute a margin round alike.
RULES = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["min", "max"]),
        "threshold_mode": st.sampled_from(["rel", "abs"]),
        "threshold": st.sampled_from([0.0, 2.0**-10, 0.125, 0.5]),
        "factor": st.floats(0.05, 0.95),
        "patience": st.integers(0, 3),
        "cooldown": st.integers(0, 2),
        "min_lr": st.sampled_from([0.0, 0.01, 0.07, 0.5]),
        "eps": st.sampled_from([0.0, 1e-8, 0.01]),
    }
)
VALUES = st.lists(
    st.one_of(
        st.integers(1, 6).map(float), st.floats(1e-3, 1e3), st.sampled_from([math.nan, math.inf])
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(RULES, VALUES)
def test_positive_values_are_treated_as_by_torch(rule, values):
    ours, theirs = sgd(0.1, 0.02), sgd(0.1, 0.02)
    reduce_lr, plateau = ReduceLR(ours, **rule), ReduceLROnPlateau(theirs, **rule)
    for value in values:
        reduce_lr.watch(value)
        plateau.step(value)
        assert rates(ours) == rates(theirs)
        assert reduce_lr.num_bad_epochs == plateau.num_bad_epochs
        assert reduce_lr.cooldown_counter == plateau.cooldown_counter
        assert reduce_lr.best == plateau.best


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(RULES, st.lists(st.floats(-1e3, 1e3), max_size=20), st.floats(1, 9))
def test_r12_the_signs_of_values_do_not_turn_the_rule_round(rule, values, best):
    """A relative threshold is a share of the best value's magnitude, on either side of nought."""
    better = ReduceLR(sgd(), **rule)
    sign = -1 if rule["mode"] == "min" else 1
    margin = rule["threshold"] * (1 if rule["threshold_mode"] == "abs" else best)
    for start in (best, -best):
        better.best = start
        assert better.is_better(start + sign * (margin + 0.01))
        assert not better.is_better(start + sign * (margin - 0.01))
    reduce_lr = ReduceLR(sgd(), **rule)
    for value in values:
        reduce_lr.watch(value)
        assert reduce_lr.best in values


def test_r12_a_hair_below_a_negative_best_is_no_improvement():
    reduce_lr = ReduceLR(sgd(), threshold=1e-4)
    reduce_lr.watch(-10.0)
    assert not reduce_lr.is_better(-9.9995)
    assert not reduce_lr.is_better(-10.0005)
    assert reduce_lr.is_better(-10.0015)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_r10_values_that_are_not_finite(mode, threshold_mode):
    worst = math.inf if mode == "min" else -math.inf
    reduce_lr = ReduceLR(sgd(), mode=mode, threshold_mode=threshold_mode, patience=9)
    for bad, value in enumerate((math.nan, worst, math.nan), 1):
        assert reduce_lr.watch(value).bad_count == bad
    assert reduce_lr.watch(7.0).bad_count == 0
    assert reduce_lr.watch(worst).bad_count == 1
    assert reduce_lr.best == 7.0


def test_r2_state_goes_round_with_everything_the_rule_remembers():
    rule = {"patience": 1, "factor": 0.5, "cooldown": 2}
    straight, first = ReduceLR(sgd(), **rule), ReduceLR(sgd(), **rule)
    values = [3.0, 3.0, 3.0, 3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    expected = [straight.watch(value) for value in values]
    for value in values[:4]:
        first.watch(value)
    state = pickle.loads(pickle.dumps(first.state_dict()))
    assert (state["best"], state["num_bad_epochs"], state["cooldown_counter"]) == (3.0, 0, 1)
    assert all(isinstance(v, int | float | str | bool | list) for v in state.values())
    second = ReduceLR(sgd(*rates(first.optimizer)), **rule)
    second.load_state_dict(state)
    assert [second.watch(value) for value in values[4:]] == expected[4:]


def test_r11_last_step_is_accepted():
    optimizer = sgd()
    for group in optimizer.param_groups:
        group["initial_lr"] = 0.4
    reduce_lr = ReduceLR(optimizer, last_step=5, patience=0, factor=0.5)
    assert reduce_lr.last_step == 6
    assert rates(optimizer) == [0.1]
    reduce_lr.watch(1.0)
    reduce_lr.watch(1.0)
    assert rates(optimizer) == [0.05]


def test_r13_min_lr_never_raises_a_rate():
    optimizer = sgd(0.1, 0.001)
    reduce_lr = ReduceLR(optimizer, patience=0, factor=0.5, min_lr=0.03)
    seen = []
    for _ in range(5):
        reduce_lr.watch(1.0)
        seen.append(rates(optimizer))
    assert seen == [[0.1, 0.001], [0.05, 0.001], [0.03, 0.001], [0.03, 0.001], [0.03, 0.001]]


def test_steps_by_time_change_nothing():
    optimizer = sgd()
    reduce_lr = ReduceLR(optimizer, patience=0, factor=0.5)
    for _ in range(3):
        reduce_lr.optimizer.step()
        reduce_lr.step()
    assert rates(optimizer) == [0.1]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"factor": 1.0}, "factor: 1.0 is not in"),
        ({"factor": 0.0}, "factor: 0.0 is not in"),
        ({"mode": "less"}, "mode: 'less' is not one of min, max"),
        ({"threshold_mode": "relative"}, "threshold_mode: 'relative' is not one of rel, abs"),
    ],
)
def test_what_cannot_be_meant_is_refused(rule, message):
    with pytest.raises(ValueError, match=message):
        ReduceLR(sgd(), **rule)


def test_r13_each_group_may_have_its_own_lowest_rate():
    optimizer = sgd(0.1, 0.1)
    reduce_lr = ReduceLR(optimizer, patience=0, factor=0.5, min_lr=[0.04, 0.0])
    for _ in range(4):
        reduce_lr.watch(1.0)
    assert rates(optimizer) == [0.04, 0.0125]


def test_r13_a_run_prolonged_after_its_end_still_reduces():
    short = ReduceLR(sgd(), patience=0, factor=0.5, end=2)
    longer = ReduceLR(sgd(), patience=0, factor=0.5, end=100)
    longer.load_state_dict(short.state_dict())
    for _ in range(5):
        longer.optimizer.step()
        longer.step()
        longer.watch(1.0)
    assert rates(longer.optimizer) == [0.1 / 16]


def linear(optimizer, steps, **settings):
    """Return the rates at each of the first steps, and the scheduler."""
    scheduler = LinearLrInterval(optimizer, by_epoch=False, **settings)
    seen = [rates(optimizer)]
    for _ in range(steps - 1):
        optimizer.step()
        scheduler.step()
        seen.append(rates(optimizer))
    return seen, scheduler


@pytest.mark.parametrize("interval", [1, 4, 5])
@pytest.mark.parametrize("begin", [0, 7])
def test_r14_at_each_interval_the_rate_is_torchs(interval, begin):
    factors = {"start_factor": 0.75, "end_factor": 0.125}
    theirs = sgd(0.1, 0.02)
    torchs, expected = LinearLRofTorch(theirs, **factors, total_iters=20), []
    for _ in range(30):
        expected.append(rates(theirs))
        theirs.step()
        torchs.step()
    seen, _ = linear(
        sgd(0.1, 0.02), begin + 30, **factors, interval=interval, begin=begin, end=begin + 20
    )
    assert seen[:begin] == [[0.1, 0.02]] * begin
    for step, found in enumerate(seen[begin:]):
        assert found == pytest.approx(expected[step - step % interval if step < 20 else 20])


def test_r14_an_interval_that_does_not_divide_the_decay_still_ends_at_its_end():
    seen, _ = linear(sgd(), 12, start_factor=1.0, end_factor=0.0, interval=4, end=10)
    assert [rate for (rate,) in seen] == pytest.approx(
        [*[0.1] * 4, *[0.06] * 4, *[0.02] * 2, 0.0, 0.0]
    )


def test_r14_progress_is_the_schedulers_own_and_goes_on_after_a_resume():
    settings = {"start_factor": 1.0, "end_factor": 0.0, "interval": 2, "end": 8}
    straight, _ = linear(sgd(), 10, **settings)
    optimizer = sgd()
    before, scheduler = linear(optimizer, 5, **settings)
    other = sgd()
    other.load_state_dict(optimizer.state_dict())
    resumed = LinearLrInterval(other, by_epoch=False, **settings)
    resumed.load_state_dict(pickle.loads(pickle.dumps(scheduler.state_dict())))
    after = []
    for _ in range(5):
        other.step()
        resumed.step()
        after.append(rates(other))
    assert before + after == straight


def test_r14_it_runs_from_a_config(make_runner):
    register_all()
    cfg = {"type": "LinearLrInterval", "start_factor": 1.0, "end_factor": 0.0, "end": 8}
    runner = make_runner((), 6, param_scheduler=cfg | {"by_epoch": False, "interval": 2})
    runner.train()
    assert runner.optim_wrapper.get_lr()["lr"] == pytest.approx([0.1 * 0.25])


def test_r14_a_factor_that_is_the_rate_itself_is_refused():
    """CycleGAN's config in MMagic: every rate but the first was the factor."""
    with pytest.raises(ValueError, match=r"start_factor: 0.0002 is the rate itself"):
        LinearLrInterval(sgd(0.0002), start_factor=0.0002, end_factor=0, begin=5, end=9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start_factor": 0.0}, r"start_factor: 0.0 is not in \(0, 1\]"),
        ({"end_factor": 1.5}, r"end_factor: 1.5 is not in \[0, 1\]"),
        ({"interval": 0}, "interval: 0 is not at least 1"),
    ],
)
def test_a_decay_that_cannot_be_meant_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LinearLrInterval(sgd(), **settings)
