"""ReduceLRSchedulerHook on a real Runner; R-numbers are the faults it must not have."""

import json
import math

import pytest
from mmengine.hooks import CheckpointHook, ParamSchedulerHook
from mmengine.logging import MessageHub
from mmengine.optim import LinearLR
from tiny import VECTORS, TinyModel
from watched import sgd, watching

from harness.engine.schedulers import ReduceLR
from harness.hooks import ReduceLRSchedulerHook

CASES = json.loads((VECTORS / "reduce_lr.json").read_text())


@pytest.mark.parametrize(
    "case", CASES, ids=lambda c: f"{c['values']}-{c['scheduler']}-{c['interval']}"
)
def test_reference_vectors(case, make_runner):
    hook = ReduceLRSchedulerHook("fid/raw", interval=case["interval"])
    runner, rates = watching(make_runner, hook, case["metric"], case["scheduler"])
    runner.train()
    assert rates.validated == pytest.approx(case["lr"], rel=1e-12, abs=0)


def test_the_vectors_say_something():
    assert len({tuple(case["lr"]) for case in CASES}) > 10


def test_r1_the_current_message_hub_stays_the_runners(make_runner):
    runner, _ = watching(make_runner, ReduceLRSchedulerHook("fid/raw"), [1.0] * 3)
    current = MessageHub.get_current_instance()
    optimizer = sgd(TinyModel())
    ReduceLR(optimizer)
    ReduceLRSchedulerHook()
    assert MessageHub.get_current_instance() is current is runner.message_hub
    runner.train()
    assert MessageHub.get_current_instance() is runner.message_hub
    assert not MessageHub.check_instance_created("reduce_lr")


RULE = {"patience": 1, "factor": 0.5, "cooldown": 1}


@pytest.mark.parametrize("interval", [1, 2])
def test_r2_r6_a_resume_goes_on_with_the_rule(make_runner, tmp_path, interval):
    """Best value, bad count, cooldown, and the hook's own mean over an interval."""
    values = [5.0, 4.0, 4.5, 4.5, 4.5, 4.4, 4.4, 4.4, 3.0, 3.1, 3.1, 3.1]
    rule = RULE if interval == 1 else {"patience": 0, "factor": 0.5}

    def rates(measured, iterations, *more, **settings):
        hook = ReduceLRSchedulerHook("fid/raw", interval=interval)
        runner, rates = watching(
            make_runner, hook, measured, rule, every=2, iterations=iterations, **settings
        )
        for other in more:
            runner.register_hook(other)
        runner.train()
        return rates.validated

    expected = rates(values, 24)
    # Saved between the seventh validation and the eighth.
    checkpoint = CheckpointHook(15, by_epoch=False, out_dir=str(tmp_path))
    before = rates(values[:8], 15, checkpoint)
    half = next(tmp_path.rglob("iter_15.pth"))
    after = rates(values[7:], 24, resume=True, load_from=str(half))
    assert before[:7] + after == expected
    assert len(set(expected)) > 2


def test_r7_the_value_is_the_mean_over_an_interval_of_validations(make_runner):
    hook = ReduceLRSchedulerHook("fid/raw", interval=2)
    runner, rates = watching(make_runner, hook, [1.0, 2.0, 1.0, 4.0], {"patience": 0})
    runner.train()
    assert hook.decisions[""].value == 2.5
    assert hook.decisions[""].best == 1.5
    assert rates.validated == pytest.approx([0.1, 0.1, 0.1, 0.01])


def test_r3_two_rules_do_not_disturb_each_other(make_runner):
    pairs = []
    for values in ([1.0] * 4, [4.0, 3.0, 2.0, 1.0]):
        hook = ReduceLRSchedulerHook("fid/raw")
        pairs.append(watching(make_runner, hook, values, {"patience": 0, "factor": 0.5}))
    for runner, _ in pairs:
        runner.train()
    assert [rates.validated[-1] for _, rates in pairs] == [0.1 / 8, 0.1]


def test_r6_the_running_mean_survives_a_resume():
    hook = ReduceLRSchedulerHook(by_epoch=False, interval=100)
    hook.validations, hook._sum, hook._weight = 3, 2.5, 10
    checkpoint = {}
    hook.before_save_checkpoint(None, checkpoint)
    other = ReduceLRSchedulerHook(by_epoch=False, interval=100)
    other.after_load_checkpoint(None, checkpoint)
    assert (other.validations, other._sum, other._weight) == (3, 2.5, 10)
    other.after_load_checkpoint(None, {})
    assert (other.validations, other._sum, other._weight) == (0, 0.0, 0)


@pytest.mark.parametrize("metric", ["fid/raw", None])
def test_r8_other_schedulers_step_by_time(make_runner, metric):
    """A warm-up of ten iterations, while validations take place every fourth."""

    def warmup(optimizer):
        return LinearLR(optimizer, start_factor=0.1, end=10, by_epoch=False)

    hook = ReduceLRSchedulerHook(metric)
    runner, rates = watching(make_runner, hook, [1.0] * 3, {"patience": 99}, [warmup], every=4)
    runner.train()
    expected = [0.1 * (0.1 + 0.9 * min(done / 9, 1)) for done in range(1, 13)]
    assert rates.trained == pytest.approx(expected)


@pytest.mark.parametrize("beside", ["mmengine's", "another"])
def test_r9_beside_another_scheduler_hook_nothing_is_stepped_twice(make_runner, beside):
    def warmup(optimizer):
        return LinearLR(optimizer, start_factor=0.1, end=10, by_epoch=False)

    hook = ReduceLRSchedulerHook("fid/raw")
    first = ParamSchedulerHook() if beside == "mmengine's" else ReduceLRSchedulerHook("is/raw")
    rule = {"patience": 0, "factor": 0.5}
    runner, rates = watching(make_runner, first, [1.0] * 3, rule, [warmup], every=4)
    runner.register_hook(hook)
    runner.train()
    assert runner.param_schedulers[1].last_step == 9  # of a warm-up that lasts ten steps
    # Before the first validation, which reduces nothing, too.
    expected = [0.1 * (0.1 + 0.9 * done / 9) for done in range(1, 5)]
    assert rates.trained[:4] == pytest.approx(expected)
    assert hook.validations == 3


def test_r8_a_reduction_is_not_undone_by_the_next_iterations(make_runner):
    hook = ReduceLRSchedulerHook("fid/raw")
    rule = {"patience": 0, "factor": 0.5}
    runner, rates = watching(make_runner, hook, [1.0] * 3, rule, every=2)
    runner.train()
    assert rates.trained == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.05, 0.05])
    assert rates.validated == pytest.approx([0.1, 0.05, 0.025])


def test_r10_a_metric_that_was_not_measured_is_named_with_those_that_were(make_runner):
    runner, _ = watching(make_runner, ReduceLRSchedulerHook("kid/raw"), [1.0])
    with pytest.raises(KeyError, match=r"'kid/raw' was not measured; measured: fid/raw, is/raw"):
        runner.train()


def test_r10_nan_is_no_improvement(make_runner):
    hook = ReduceLRSchedulerHook("fid/raw")
    values = [2.0, math.nan, math.nan, 1.0]
    runner, rates = watching(make_runner, hook, values, {"patience": 1, "factor": 0.5})
    runner.train()
    assert rates.validated == pytest.approx([0.1, 0.1, 0.05, 0.05])
    assert hook.decisions[""].best == 1.0


def test_a_decision_says_what_was_seen_and_done(make_runner):
    hook = ReduceLRSchedulerHook("fid/raw")
    runner, _ = watching(make_runner, hook, [2.0, 3.0], {"patience": 0, "factor": 0.5})
    runner.train()
    (decision,) = hook.decisions.values()
    assert (decision.value, decision.best, decision.bad_count) == (3.0, 2.0, 1)
    assert (decision.old_lr, decision.new_lr) == (0.1, 0.05)


def test_an_interval_below_one_is_refused():
    with pytest.raises(ValueError, match="interval: 0 is not at least 1"):
        ReduceLRSchedulerHook(interval=0)
